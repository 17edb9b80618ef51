// <cronium-tabs>: links with data-tab show the [data-panel] of that name without
// leaving the page; the address follows.

customElements.define("cronium-tabs", class extends HTMLElement {
  connectedCallback() {
    this.onclick = (event) => {
      const link = event.target.closest("a[data-tab]");
      if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      this.show(link.dataset.tab);
      history.replaceState(history.state, "", link.href);
    };
  }

  show(name) {
    for (const link of this.querySelectorAll("a[data-tab]")) {
      if (link.dataset.tab === name) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
    for (const panel of this.querySelectorAll("[data-panel]")) panel.hidden = panel.dataset.panel !== name;
    this.dispatchEvent(new CustomEvent("cronium:tab", { detail: name, bubbles: true }));
  }
});
