// The colours: the system's, light or dark. Kept in a cookie, which the server
// reads, so that a page arrives in the right colours.

const names = ["system", "light", "dark"];

customElements.define("cronium-theme", class extends HTMLElement {
  connectedCallback() {
    this.hidden = false;
    this.#show();
    this.querySelector("button").onclick = () => {
      const next = names[(names.indexOf(this.#current()) + 1) % names.length];
      if (next === "system") delete document.documentElement.dataset.theme;
      else document.documentElement.dataset.theme = next;
      document.cookie = `theme=${next}; path=/; max-age=31536000; samesite=lax`;
      for (const other of document.querySelectorAll("cronium-theme")) other.#show();
      document.dispatchEvent(new CustomEvent("cronium:theme"));
    };
  }

  #current() {
    return document.documentElement.dataset.theme || "system";
  }

  #show() {
    this.querySelector("[data-name]").textContent = this.#current();
  }
});
