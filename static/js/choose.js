// <cronium-choose>: a list of boxes to tick, with a field that shows those alone
// whose name or words have all that is typed, and how many are ticked.

customElements.define("cronium-choose", class extends HTMLElement {
  connectedCallback() {
    this.field = this.querySelector("input[type=search]");
    this.field.hidden = false;
    this.field.oninput = () => this.#filter();
    // Return would save the form.
    this.field.onkeydown = (event) => event.key === "Enter" && event.preventDefault();
    this.onchange = () => this.#count();
    this.#filter();
    this.#count();
  }

  #filter() {
    const words = this.field.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of this.querySelectorAll("label")) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
    }
  }

  #count() {
    const boxes = [...this.querySelectorAll("[type=checkbox]")];
    const chosen = boxes.filter((box) => box.checked).length;
    const text = `${chosen} of ${boxes.length} chosen`;
    const count = this.querySelector("[data-count]");
    if (count.textContent !== text) count.textContent = text;
  }
});
