// <cronium-hosts>: the grid of a job's servers. One press shows a server's
// output; arrows go from one to the next, so that a thousand of them are one
// stop of Tab; the chips above show those of one state alone.

customElements.define("cronium-hosts", class extends HTMLElement {
  #only = "";

  connectedCallback() {
    this.onclick = ({ target }) => {
      const chip = target.closest("[data-only]");
      const host = target.closest(".host");
      if (chip) this.#filter(chip.dataset.only);
      if (host) this.#press(host);
    };
    this.onkeydown = (event) => this.#key(event);
    this.addEventListener("focusin", ({ target }) => target.matches(".host") && this.#stop(target));
    this.swapped = () => this.#tidy();
    document.addEventListener("htmx:after:swap", this.swapped);
    this.#tidy();
  }

  disconnectedCallback() {
    document.removeEventListener("htmx:after:swap", this.swapped);
  }

  get #hosts() {
    return [...this.querySelectorAll(".host")];
  }

  #press(host) {
    for (const other of this.querySelectorAll(".host[aria-pressed=true]")) other.setAttribute("aria-pressed", "false");
    host.setAttribute("aria-pressed", "true");
    this.dispatchEvent(new CustomEvent("cronium:host", { detail: host.value, bubbles: true }));
  }

  #filter(only) {
    this.#only = only;
    this.#tidy();
  }

  // What a swap has brought knows neither the filter nor the stop of Tab.
  #tidy() {
    for (const chip of this.querySelectorAll("[data-only]")) chip.setAttribute("aria-pressed", chip.dataset.only === this.#only);
    const hosts = this.#hosts;
    for (const host of hosts) host.hidden = this.#only !== "" && !host.classList.contains(this.#only);
    const shown = hosts.filter((host) => !host.hidden);
    this.#stop(shown.find((host) => host === document.activeElement) ?? shown.find((host) => host.ariaPressed === "true") ?? shown[0]);
  }

  #stop(at) {
    for (const host of this.#hosts) host.tabIndex = host === at ? 0 : -1;
  }

  #key(event) {
    const hosts = this.#hosts.filter((host) => !host.hidden);
    const at = hosts.indexOf(event.target);
    if (at < 0) return;
    const columns = hosts.filter((host) => host.offsetTop === hosts[0].offsetTop).length;
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, ArrowUp: at - columns, ArrowDown: at + columns, Home: 0, End: hosts.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    hosts[to]?.focus();
  }
});
