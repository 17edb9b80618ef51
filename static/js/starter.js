// <cronium-starter>: choosing a language puts its first script into the field,
// as long as the script was not changed by hand.

customElements.define("cronium-starter", class extends HTMLElement {
  connectedCallback() {
    const area = this.querySelector("textarea");
    const scripts = new Map([...this.querySelectorAll("template")].map((t) => [t.dataset.type, t.content.textContent]));
    this.onchange = (event) => {
      if (event.target.name !== "type") return;
      const untouched = area.value === "" || [...scripts.values()].some((script) => script.trim() === area.value.trim());
      if (untouched) area.value = scripts.get(event.target.value);
    };
  }
});
