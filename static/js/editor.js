// <cronium-editor>: the files of an event. The page brings one fieldset a file
// with its name, whether it is the one that runs, and its text; here they
// become tabs over one code editor. The fields stay what is sent.
import { loadAce, modeOf, themeOf } from "./ace.js";

customElements.define("cronium-editor", class extends HTMLElement {
  connectedCallback() {
    if (!this.bar) this.#build();
    this.listen = new AbortController();
    const { signal } = this.listen;
    document.addEventListener("cronium:theme", () => this.editor?.setTheme(themeOf()), { signal });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.editor?.setTheme(themeOf()), { signal });
    document.addEventListener("cronium:insert", (event) => this.#insert(event.detail), { signal });
    document.addEventListener("keydown", (event) => this.#key(event), { signal });
    loadAce().then((ace) => this.isConnected && this.#start(ace)).catch(() => this.classList.add("is-plain"));
  }

  disconnectedCallback() {
    this.listen.abort();
    clearTimeout(this.later);
    this.editor?.destroy();
    this.editor = null;
  }

  get files() {
    return [...this.querySelectorAll("[data-file]")];
  }

  // setFiles replaces all files: for edits that were kept in the browser.
  setFiles(files, entry) {
    while (this.files.length < files.length) this.#add("", "");
    for (const file of this.files.slice(files.length)) file.remove();
    this.files.forEach((file, i) => {
      file.querySelector("[name=file_name]").value = files[i].name;
      file.querySelector("[name=file_content]").value = files[i].content;
      file.querySelector("[name=entry]").checked = i === entry;
      file.session?.setValue(files[i].content);
    });
    this.#show(this.files[entry] ?? this.files[0]);
  }

  // flush puts what is in the editor into the fields.
  flush() {
    clearTimeout(this.later);
    this.later = null;
    for (const file of this.files) {
      if (!file.edited) continue;
      file.edited = false;
      file.querySelector("textarea").value = file.session.getValue();
    }
  }

  #build() {
    this.bar = document.createElement("div");
    this.bar.className = "files";
    this.bar.setAttribute("role", "group");
    this.bar.setAttribute("aria-label", "Files");
    this.prepend(this.bar);
    this.addEventListener("input", (event) => event.target.name === "file_name" && this.#named(event.target));
    this.addEventListener("change", (event) => event.target.name === "entry" && this.#tabs());
    this.addEventListener("click", (event) => {
      if (event.target.closest("[data-delete-file]")) this.#remove(event.target.closest("[data-file]"));
    });
    this.classList.add("is-ready");
    this.#show(this.files.find((file) => file.querySelector("[name=entry]").checked) ?? this.files[0]);
  }

  #start(ace) {
    this.ace = ace;
    this.place = document.createElement("div");
    this.place.className = "ace-place";
    this.append(this.place);
    this.editor = ace.edit(this.place, {
      theme: themeOf(), fontFamily: "JetBrains Mono", fontSize: "12.5px", showPrintMargin: false, useWorker: false,
      enableBasicAutocompletion: true, enableLiveAutocompletion: true, enableKeyboardAccessibility: true,
      tabSize: 4, useSoftTabs: true, scrollPastEnd: 0.3, readOnly: this.closest("fieldset[disabled]") !== null,
    });
    this.editor.renderer.setScrollMargin(6, 6);
    this.editor.on("blur", () => this.flush());
    this.querySelectorAll("[name=file_content]").forEach((area) => (area.hidden = true));
    this.#show(this.shown);
  }

  #session(file) {
    if (file.session) return file.session;
    const name = file.querySelector("[name=file_name]").value;
    file.session = this.ace.createEditSession(file.querySelector("textarea").value, modeOf(name));
    file.session.setUseWorker(false);
    file.session.on("change", () => {
      file.edited = true;
      clearTimeout(this.later);
      this.later = setTimeout(() => {
        this.flush();
        file.querySelector("textarea").dispatchEvent(new Event("input", { bubbles: true }));
      }, 250);
    });
    return file.session;
  }

  #show(file) {
    this.shown = file;
    for (const other of this.files) other.hidden = other !== file;
    this.#tabs();
    if (!this.editor || !file) return;
    this.editor.setSession(this.#session(file));
    this.editor.textInput.getElement().setAttribute("aria-label", `Content of ${file.querySelector("[name=file_name]").value}. Enter to edit, Escape to leave.`);
  }

  #tabs() {
    const files = this.files;
    this.bar.replaceChildren(...files.map((file) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "btn small plain";
      button.textContent = file.querySelector("[name=file_name]").value || "unnamed";
      if (file.querySelector("[name=entry]").checked && files.length > 1) button.append(" ▸");
      button.setAttribute("aria-pressed", file === this.shown);
      button.onclick = () => {
        this.#show(file);
        this.editor?.focus();
      };
      return button;
    }));
    const add = document.createElement("button");
    add.type = "button";
    add.textContent = "+ file";
    add.className = "btn small plain add";
    add.hidden = this.closest("fieldset[disabled]") !== null;
    add.onclick = () => {
      this.#show(this.#add(this.#freeName(), ""));
      this.shown.querySelector("[name=file_name]").select();
      this.#changed();
    };
    this.bar.append(add);
    files.forEach((file, i) => {
      file.querySelector("[name=entry]").value = i;
      file.querySelector("[data-delete-file]").hidden = files.length < 2;
      file.querySelector(".check").hidden = files.length < 2;
    });
  }

  #freeName() {
    const ending = { python: "py", javascript: "js", sh: "sh" }[this.getAttribute("language")];
    const taken = this.files.map((file) => file.querySelector("[name=file_name]").value);
    for (let n = 1; ; n++) if (!taken.includes(`file${n}.${ending}`)) return `file${n}.${ending}`;
  }

  #add(name, content) {
    const last = this.files.at(-1);
    const file = last.cloneNode(true);
    file.querySelector("[name=file_name]").value = name;
    file.querySelector("[name=file_content]").value = content;
    file.querySelector("[name=entry]").checked = false;
    last.after(file);
    return file;
  }

  #remove(file) {
    const files = this.files;
    const at = files.indexOf(file);
    const ran = file.querySelector("[name=entry]").checked;
    file.remove();
    if (ran) this.files[0].querySelector("[name=entry]").checked = true;
    this.#show(this.files[Math.max(0, at - 1)]);
    this.#changed();
  }

  #named(field) {
    const file = field.closest("[data-file]");
    file.session?.setMode(modeOf(field.value));
    this.#tabs();
  }

  #changed() {
    this.dispatchEvent(new Event("input", { bubbles: true }));
  }

  #insert(text) {
    if (!this.editor || this.editor.getReadOnly()) return;
    this.editor.insert(text);
    this.editor.focus();
  }

  #key(event) {
    if (!(event.ctrlKey || event.metaKey) || event.altKey) return;
    const button = event.key === "s" ? document.querySelector("[data-save]") : event.key === "Enter" ? document.querySelector("[data-test]") : null;
    if (!button) return;
    event.preventDefault();
    this.flush();
    button.click();
  }
});
