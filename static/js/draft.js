// <cronium-draft key version saved> around a form: tells when it has changes that are
// not saved, keeps them in this browser, and puts them back after an accident.
// A save is seen by a new moment in the attribute saved.

// What is no part of a version.
const ignored = (name) => ["base", "tab", "note", "test_input"].includes(name) || name.startsWith("input.");

customElements.define("cronium-draft", class extends HTMLElement {
  static observedAttributes = ["saved"];

  connectedCallback() {
    this.form = this.querySelector("form");
    this.key = `draft:${this.getAttribute("key")}`;
    this.saved = this.#snapshot();
    this.leaving = new AbortController();
    const { signal } = this.leaving;
    this.addEventListener("input", () => this.#changed());
    this.addEventListener("change", () => this.#changed());
    this.form.addEventListener("submit", () => (this.sent = this.#snapshot()));
    document.addEventListener("cronium:tab", (event) => {
      const tab = this.form.elements.tab;
      if (tab) tab.value = event.detail;
    }, { signal });
    document.addEventListener("click", (event) => (this.inside = Boolean(event.target.closest?.("a[href^='/'], form"))), { signal, capture: true });
    addEventListener("beforeunload", (event) => {
      if (this.dirty && !this.inside) event.preventDefault();
    }, { signal });
    // The parts that it is put back into are scripts of their own.
    const parts = ["cronium-editor", "cronium-rows"].filter((name) => this.querySelector(name));
    Promise.all(parts.map((name) => customElements.whenDefined(name))).then(() => this.isConnected && this.#offer());
  }

  disconnectedCallback() {
    this.leaving.abort();
  }

  attributeChangedCallback(name, before, now) {
    if (before === null || before === now) return;
    // Saved. What was typed while it was being saved stays a change.
    localStorage.removeItem(this.key);
    this.saved = this.sent ?? this.#snapshot();
    this.#changed();
  }

  #snapshot() {
    this.querySelector("cronium-editor")?.flush?.();
    return JSON.stringify([...new FormData(this.form)].filter(([name]) => !ignored(name)));
  }

  #changed() {
    if (!this.offered) return; // what was kept is not written over unseen
    const now = this.#snapshot();
    this.dirty = now !== this.saved;
    for (const mark of document.querySelectorAll("[data-unsaved]")) mark.hidden = !this.dirty;
    try {
      if (this.dirty) localStorage.setItem(this.key, JSON.stringify({ version: this.getAttribute("version"), at: Date.now(), entries: JSON.parse(now) }));
      else localStorage.removeItem(this.key);
    } catch {
      this.inside = false; // nothing is kept: the browser asks before leaving
    }
  }

  // offer puts back what was kept, if it was made on this version; else it asks.
  #offer() {
    this.offered = true;
    let kept;
    try {
      kept = JSON.parse(localStorage.getItem(this.key));
    } catch {
      kept = null;
    }
    if (!kept || JSON.stringify(kept.entries) === this.saved) return this.#changed();
    const same = kept.version === this.getAttribute("version");
    if (same) this.#restore(kept.entries);
    const at = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" }).format(kept.at);
    const notice = document.createElement("div");
    notice.className = "notice is-warning";
    notice.setAttribute("role", "status");
    const text = document.createElement("span");
    text.textContent = same ? `Your unsaved changes of ${at} are back.` : `There are unsaved changes of yours of ${at}, made on version ${kept.version}.`;
    notice.append(text);
    const act = (label, then) => {
      const button = document.createElement("button");
      Object.assign(button, { type: "button", className: "btn small", textContent: label });
      button.onclick = () => {
        notice.remove();
        then();
      };
      notice.append(button);
    };
    if (!same) act("Put them back", () => this.#restore(kept.entries));
    act("Throw them away", () => {
      localStorage.removeItem(this.key);
      this.dirty = false;
      location.reload();
    });
    this.before(notice);
  }

  #restore(entries) {
    const values = new Map();
    for (const [name, value] of entries) values.set(name, [...(values.get(name) ?? []), value]);
    const names = values.get("file_name") ?? [];
    const contents = values.get("file_content") ?? [];
    this.querySelector("cronium-editor")?.setFiles?.(names.map((name, i) => ({ name, content: contents[i] ?? "" })), Number(values.get("entry")?.[0] ?? 0));
    this.querySelector("cronium-rows")?.setRows?.(values.get("environment_name")?.length ?? 0);
    const at = new Map();
    for (const field of this.form.elements) {
      if (!field.name || ignored(field.name) || field.name.startsWith("file_") || field.name === "entry") continue;
      const given = values.get(field.name) ?? [];
      if (field.type === "checkbox" || field.type === "radio") field.checked = given.includes(field.value);
      else {
        const i = at.get(field.name) ?? 0;
        at.set(field.name, i + 1);
        if (given[i] !== undefined) field.value = given[i];
      }
    }
    this.#changed();
  }
});
