// <cronium-zones>: the field of a time zone offers those that the browser knows.

customElements.define("cronium-zones", class extends HTMLElement {
  connectedCallback() {
    const list = document.createElement("datalist");
    list.id = "zones";
    list.append(...["UTC", ...Intl.supportedValuesOf("timeZone")].map((zone) => new Option(zone, zone)));
    this.append(list);
    this.querySelector("input").setAttribute("list", list.id);
  }

  disconnectedCallback() {
    this.querySelector("datalist")?.remove();
  }
});
