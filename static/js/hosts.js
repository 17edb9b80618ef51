// <cronium-hosts>: the grid of a job's servers. One press shows a server's
// output; arrows go from one to the next, so that a thousand of them are one
// stop of Tab; the chips above show those of one state alone, and the field those
// with a name.

customElements.define("cronium-hosts", class extends HTMLElement {
  #only = "";
  #name = "";

  connectedCallback() {
    this.onclick = ({ target }) => {
      const chip = target.closest("[data-only]");
      const host = target.closest(".host");
      if (chip) this.only(chip.dataset.only);
      if (host) this.press(host);
    };
    this.onkeydown = (event) => this.#key(event);
    this.addEventListener("focusin", ({ target }) => target.matches(".host") && this.#stop(target));
    const field = this.querySelector("[type=search]");
    if (field) {
      field.hidden = false;
      field.oninput = () => {
        this.#name = field.value.trim().toLowerCase();
        this.#tidy();
      };
    }
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

  press(host) {
    for (const other of this.querySelectorAll(".host[aria-pressed=true]")) other.setAttribute("aria-pressed", "false");
    host.setAttribute("aria-pressed", "true");
    this.dispatchEvent(new CustomEvent("cronium:host", { detail: host.value, bubbles: true }));
  }

  // only shows the hosts of one part; of all with "".
  only(part) {
    this.#only = part;
    this.#tidy();
  }

  // change shows hosts as they are now, each in its place.
  change(changes) {
    for (const { id, class: state, icon, label, part, title } of changes) {
      const host = document.getElementById(`host-${id}`);
      if (!host) continue;
      host.className = `host ${state}`;
      host.dataset.part = part;
      host.title = title;
      host.querySelector("use").setAttribute("href", `#sign-${icon}`);
      host.querySelector(".sr").textContent = label;
      host.hidden = !this.#fits(host);
    }
  }

  #fits(host) {
    return (this.#only === "" || host.dataset.part === this.#only) && (this.#name === "" || host.children[1].textContent.toLowerCase().includes(this.#name));
  }

  // What a swap has brought knows neither the filter nor the stop of Tab.
  #tidy() {
    for (const chip of this.querySelectorAll("[data-only]")) {
      const pressed = String(chip.dataset.only === this.#only);
      if (chip.getAttribute("aria-pressed") !== pressed) chip.setAttribute("aria-pressed", pressed);
    }
    const shown = [];
    for (const host of this.#hosts) {
      const fits = this.#fits(host);
      if (host.hidden === fits) host.hidden = !fits;
      if (fits) shown.push(host);
    }
    this.#stop(shown.find((host) => host === document.activeElement) ?? shown.find((host) => host.ariaPressed === "true") ?? shown[0]);
  }

  #stop(at) {
    for (const host of this.#hosts) if (host.tabIndex !== (host === at ? 0 : -1)) host.tabIndex = host === at ? 0 : -1;
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
