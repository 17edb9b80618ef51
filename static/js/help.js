// <cronium-help language>: the helper API beside the editor. A press on a call
// puts it into the script.
import { helpers } from "./helpers.js";

customElements.define("cronium-help", class extends HTMLElement {
  connectedCallback() {
    const api = helpers[this.getAttribute("language")];
    if (!api) return;
    const begin = document.createElement("code");
    begin.textContent = api.import;
    const list = document.createElement("ul");
    list.className = "items";
    for (const call of api.calls.filter((c) => !c.name.endsWith("Error"))) {
      const button = document.createElement("button");
      button.type = "button";
      button.title = "Put it into the script";
      const code = document.createElement("code");
      code.textContent = call.sign;
      const text = document.createElement("small");
      text.textContent = call.text;
      button.append(code, text);
      button.onclick = () => document.dispatchEvent(new CustomEvent("cronium:insert", { detail: call.insert }));
      const item = document.createElement("li");
      item.append(button);
      list.append(item);
    }
    this.replaceChildren(begin, list);
  }
});
