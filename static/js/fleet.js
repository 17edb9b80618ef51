// <cronium-fleet url>: a job on servers. What changes of its hosts comes by the
// page's stream; a press on a host shows its output; the parts that sum up are
// fetched now and then while hosts end.

const pause = 2000;

customElements.define("cronium-fleet", class extends HTMLElement {
  connectedCallback() {
    this.url = this.getAttribute("url");
    this.grid = this.querySelector("#fleet-grid");
    this.live = document.getElementById("live");
    this.hear = ({ detail }) => this.change(detail);
    this.live?.addEventListener("cronium:hosts", this.hear);
    this.addEventListener("cronium:host", ({ detail }) => this.show(detail));
    this.addEventListener("cronium:tab", ({ detail }) => this.fill(detail));
    this.pressed = (event) => {
      const link = event.target.closest("a[data-host]");
      if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
      const host = [...this.querySelectorAll(".host")].find((one) => one.children[1].textContent === link.dataset.host);
      if (!host) return;
      event.preventDefault();
      this.querySelector("cronium-hosts").press(host);
      this.querySelector("cronium-tabs").show("output");
      host.scrollIntoView({ block: "nearest" });
    };
    document.addEventListener("click", this.pressed);
  }

  disconnectedCallback() {
    this.live?.removeEventListener("cronium:hosts", this.hear);
    document.removeEventListener("click", this.pressed);
    clearTimeout(this.timer);
  }

  get shown() {
    return this.querySelector("[data-shown]")?.dataset.shown;
  }

  get tab() {
    return this.querySelector("[data-tab][aria-current]")?.dataset.tab;
  }

  async change(changes) {
    if (changes.length === 0) return;
    if (!this.querySelector("cronium-hosts")) await this.part("grid", this.grid);
    this.querySelector("cronium-hosts")?.change(changes);
    const shown = this.shown;
    const mine = shown ? changes.find((one) => one.id === shown) : changes.find((one) => one.run);
    if (mine) this.show(mine.id, true);
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      this.part("side", this.querySelector("#fleet-side"));
      this.fill(this.tab);
    }, pause);
  }

  show(id, keep = false) {
    this.part("output", this.querySelector("#fleet-output"), `&host=${id}`);
    if (keep) return;
    const name = this.querySelector(`#host-${CSS.escape(id)}`)?.children[1].textContent ?? id;
    history.replaceState(history.state, "", `${this.url}?host=${encodeURIComponent(name)}`);
    if (this.tab !== "output") this.querySelector("cronium-tabs").show("output");
  }

  fill(tab) {
    if (tab === "same") {
      const query = new URLSearchParams(new FormData(this.querySelector("#fleet-same form") ?? document.createElement("form")));
      query.delete("tab");
      this.part("same", this.querySelector("#fleet-same"), `&${query}`);
    }
    if (tab === "hosts") this.part("hosts", this.querySelector("#fleet-hosts"));
  }

  // part fetches a part into its place. Each place waits for its own answers, and
  // the last one asked for comes: htmx drops what is asked for while two wait.
  part(name, target, more = "") {
    target.setAttribute("hx-sync", "queue last");
    return window.htmx.ajax("GET", `${this.url}?part=${name}${more}`, { source: target, target, swap: "innerMorph" });
  }
});
