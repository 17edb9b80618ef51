// <cronium-select> is a list whose rows have a checkbox: one box for all,
// Shift for a range, and a bar of actions while something is selected.

customElements.define("cronium-select", class extends HTMLElement {
  #last = null;

  connectedCallback() {
    this.addEventListener("click", this);
    this.addEventListener("change", this);
    this.addEventListener("htmx:after:swap", this);
    this.#show();
  }

  handleEvent(event) {
    const box = event.target.closest?.("input[type=checkbox]");
    if (event.type === "click" && box && !box.name) return; // the box for all tells by its change
    if (event.type === "click" && box) {
      const boxes = this.#boxes();
      if (event.shiftKey && this.#last) {
        const [from, to] = [boxes.indexOf(this.#last), boxes.indexOf(box)].sort((a, b) => a - b);
        if (from >= 0) for (const between of boxes.slice(from, to + 1)) between.checked = box.checked;
      }
      this.#last = box;
    }
    if (event.type === "change" && box?.dataset.all !== undefined) {
      for (const one of this.#boxes()) one.checked = box.checked;
    }
    if (event.target.closest?.("[data-none]")) {
      for (const one of this.#boxes()) one.checked = false;
    }
    this.#show();
  }

  #boxes() {
    return [...this.querySelectorAll("input[type=checkbox][name]")];
  }

  #show() {
    const boxes = this.#boxes();
    const count = boxes.filter((box) => box.checked).length;
    const all = this.querySelector("input[data-all]");
    if (all) {
      all.checked = count > 0 && count === boxes.length;
      all.indeterminate = count > 0 && count < boxes.length;
    }
    const bar = this.querySelector(".bulk");
    if (!bar) return;
    bar.hidden = count === 0;
    bar.querySelector("[data-count]").textContent = `${count} selected`;
  }
});
