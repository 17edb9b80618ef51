// <cronium-phases since now expected>: the part of a run's bar that grows while
// the script runs. Without these attributes the bar stands still.

customElements.define("cronium-phases", class extends HTMLElement {
  static observedAttributes = ["since", "now", "expected"];
  #timer;

  connectedCallback() {
    this.#grow();
  }

  attributeChangedCallback() {
    this.skew = Date.now() - Date.parse(this.getAttribute("now")) || 0;
    if (this.isConnected) this.#grow();
  }

  disconnectedCallback() {
    clearTimeout(this.#timer);
  }

  #grow() {
    clearTimeout(this.#timer);
    const since = Date.parse(this.getAttribute("since"));
    const part = this.querySelector("[data-grows]");
    if (!since || !part) return;
    const passed = Math.max(0, Date.now() - this.skew - since);
    const expected = Math.max(Number(this.getAttribute("expected")), passed * 1.1, 1);
    const left = 1000 - Number(part.getAttribute("x"));
    part.setAttribute("width", (left * Math.min(passed / expected, 0.97)).toFixed(1));
    this.#timer = setTimeout(() => this.#grow(), 250);
  }
});
