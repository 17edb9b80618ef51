// <cronium-copy> has text in [data-copy] and a button that copies it.
import { say } from "./live.js";

customElements.define("cronium-copy", class extends HTMLElement {
  connectedCallback() {
    const button = this.querySelector("button");
    button.hidden = !navigator.clipboard;
    button.onclick = async () => {
      await navigator.clipboard.writeText(this.querySelector("[data-copy]").textContent);
      say("Copied.");
    };
  }
});
