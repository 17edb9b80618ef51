// <cronium-rows>: rows of fields with an empty one at the end; filling it makes
// the next.

customElements.define("cronium-rows", class extends HTMLElement {
  connectedCallback() {
    this.addEventListener("input", () => this.#tidy());
  }

  // setRows makes as many rows as are needed.
  setRows(count) {
    while (this.querySelectorAll("[data-row]").length < count) this.#add();
  }

  #tidy() {
    const last = [...this.querySelectorAll("[data-row]")].at(-1);
    if ([...last.querySelectorAll("input")].some((field) => field.value !== "")) this.#add();
  }

  #add() {
    const last = [...this.querySelectorAll("[data-row]")].at(-1);
    const row = last.cloneNode(true);
    const number = this.querySelectorAll("[data-row]").length + 1;
    row.removeAttribute("id");
    row.querySelectorAll(".problem").forEach((problem) => problem.remove());
    row.querySelectorAll("input").forEach((field) => {
      field.value = "";
      field.setAttribute("aria-label", field.getAttribute("aria-label").replace(/\d+$/, number));
    });
    last.after(row);
  }
});
