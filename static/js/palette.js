// <cronium-palette>: Ctrl-K, go to anything, run any event. The list is the
// server's (/palette?q=…); arrow keys move in it, typing goes on in the field.

customElements.define("cronium-palette", class extends HTMLElement {
  #dialog;
  #input;
  #list;
  #timer;
  #abort;
  #shows; // what the list was found for

  connectedCallback() {
    document.addEventListener("keydown", this);
    document.addEventListener("click", this);
  }

  disconnectedCallback() {
    document.removeEventListener("keydown", this);
    document.removeEventListener("click", this);
  }

  handleEvent(event) {
    if (event.type === "click") {
      if (!event.target.closest?.("[data-palette]") || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      this.open();
    } else if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k" && !event.altKey && !event.shiftKey) {
      event.preventDefault();
      if (this.#dialog?.open) this.#dialog.close();
      else this.open();
    }
  }

  open() {
    if (!this.#dialog) this.#build();
    this.#dialog.showModal();
    this.#input.select();
    this.#load();
  }

  #build() {
    const make = (name, props) => Object.assign(document.createElement(name), props);
    this.#dialog = make("dialog", { className: "palette" });
    this.#dialog.setAttribute("aria-label", "Search or run");
    this.#input = make("input", { type: "text", placeholder: "Go to a page, an event or a job; run an event", autocomplete: "off", spellcheck: false });
    this.#input.setAttribute("aria-label", "Search");
    this.#input.setAttribute("aria-controls", "palette-list");
    this.#list = make("div", { id: "palette-list", className: "items" });
    this.#dialog.append(this.#input, this.#list);
    this.append(this.#dialog);
    this.#input.addEventListener("input", () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#load(), 80);
    });
    this.#dialog.addEventListener("keydown", (event) => this.#key(event));
    this.#dialog.addEventListener("click", (event) => {
      if (event.target === this.#dialog) this.#dialog.close();
    });
  }

  get #query() {
    return this.#input.value.trim();
  }

  async #load() {
    clearTimeout(this.#timer);
    this.#abort?.abort();
    this.#abort = new AbortController();
    const query = this.#query;
    try {
      const response = await fetch(`/palette?q=${encodeURIComponent(query)}`, { headers: { "HX-Request": "true" }, signal: this.#abort.signal });
      if (!response.ok) throw new Error(`search: status ${response.status}`);
      if (response.headers.has("HX-Redirect")) location.href = response.headers.get("HX-Redirect"); // signed out
      const found = new DOMParser().parseFromString(await response.text(), "text/html"); // runs nothing
      this.#replace(found.body.childNodes);
      this.#shows = query;
      this.#list.dispatchEvent(new Event("htmx:after:swap", { bubbles: true })); // for the times in it
    } catch (error) {
      if (error.name !== "AbortError") this.#list.textContent = "The server did not answer. Type to try again.";
    }
  }

  // replace shows another list. Who has gone into the old one by the arrow keys
  // stays at what they chose, or goes back to the field if it is gone.
  #replace(nodes) {
    const leadsTo = (item) => item.href ?? item.form?.action;
    const chosen = this.#list.contains(document.activeElement) ? leadsTo(document.activeElement) : null;
    this.#list.replaceChildren(...nodes);
    if (chosen) ([...this.#list.querySelectorAll("a, button")].find((item) => leadsTo(item) === chosen) ?? this.#input).focus();
  }

  // enter takes the first of what was found for what stands in the field, not
  // for what stood there a moment ago.
  async #enter() {
    if (this.#shows !== this.#query) await this.#load();
    if (this.#dialog.open && this.#shows === this.#query) this.#list.querySelector("a, button")?.click();
  }

  #key(event) {
    const items = [...this.#list.querySelectorAll("a, button")];
    const at = items.indexOf(document.activeElement);
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      const to = event.key === "ArrowDown" ? at + 1 : at - 1;
      (to < 0 ? this.#input : items[Math.min(to, items.length - 1)])?.focus();
    } else if (event.key === "Enter" && document.activeElement === this.#input) {
      event.preventDefault();
      this.#enter();
    } else if (event.key.length === 1 && at >= 0 && event.key !== " " && !event.ctrlKey && !event.metaKey && !event.altKey) {
      this.#input.focus();
    }
  }
});
