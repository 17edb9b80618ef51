// Finding in the whole output: the server says which lines have the words, the
// rows in view are marked here. Enter goes to the next, Shift-Enter back.

const most = 10000; // lines that are gone through; more are only counted

export class LogFind {
  current = -1; // the line that was jumped to
  #lines = [];
  #total = 0;
  #more = false;
  #query = "";
  #timer;
  #abort;

  constructor(log) {
    this.log = log;
    log.findField.oninput = () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#search(), 200);
    };
    log.findField.onkeydown = (event) => {
      if (event.key === "Enter") {
        event.preventDefault();
        this.#step(event.shiftKey ? -1 : 1);
      } else if (event.key === "Escape" && log.findField.value) {
        event.stopPropagation();
        log.findField.value = "";
        this.#search();
      }
    };
  }

  close() {
    clearTimeout(this.#timer);
    this.#abort?.abort();
    CSS.highlights?.delete("log-found");
  }

  // The server searches for some seconds at most and says where to go on.
  async #search() {
    this.#abort?.abort();
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    const seen = this.log.shown[0]?.n ?? 0;
    this.#query = this.log.findField.value;
    this.current = -1;
    this.#lines = [];
    this.#more = Boolean(this.#query);
    if (!this.#query) return this.#show("");
    for (let from = 0; this.#more && this.#lines.length < most; ) {
      let page;
      try {
        page = await this.#page(from, signal);
      } catch (error) {
        if (error.name !== "AbortError") this.#show("cannot search now");
        return;
      }
      if (signal.aborted) return;
      this.#total = this.#lines.length + page.total;
      this.#lines = this.#lines.concat(page.lines);
      this.#more = page.more;
      from = page.next_line;
      // The first at or after what was in view.
      const at = this.#lines.findIndex((n) => n >= seen);
      if (this.current >= 0) this.#tell();
      else if (this.#lines.length > 0 && (at >= 0 || !this.#more)) this.#go(Math.max(0, at));
      else this.#show(this.#more ? "searching…" : "none");
    }
  }

  async #page(from, signal) {
    const response = await fetch(`${this.log.store.base}/search?q=${encodeURIComponent(this.#query)}&from_line=${from}`, { signal });
    if (!response.ok) throw new Error(`search: status ${response.status}`);
    return response.json();
  }

  async #step(by) {
    if (this.#query !== this.log.findField.value) {
      clearTimeout(this.#timer);
      return this.#search();
    }
    if (this.#lines.length === 0) return;
    const at = this.#lines.indexOf(this.current);
    this.#go((at + by + this.#lines.length) % this.#lines.length);
  }

  #go(at) {
    this.current = this.#lines[at];
    this.#tell();
    this.log.goto(this.current);
  }

  #tell() {
    const at = this.#lines.indexOf(this.current);
    this.#show(`${(at + 1).toLocaleString("en")} of ${this.#total.toLocaleString("en")}${this.#more ? "+" : ""}`);
  }

  #show(text) {
    this.log.findCount.textContent = text;
    if (!text || text === "none") this.highlight();
  }

  // highlight marks the words in the rows in view.
  highlight() {
    if (!CSS.highlights) return;
    if (!this.#query) return void CSS.highlights.delete("log-found");
    const ranges = [];
    const words = this.#query.toLowerCase();
    for (const { text } of this.log.shown) {
      const nodes = [];
      let whole = "";
      const walker = document.createTreeWalker(text, NodeFilter.SHOW_TEXT);
      while (walker.nextNode()) {
        if (walker.currentNode.parentNode.className === "sr") continue;
        nodes.push([whole.length, walker.currentNode]);
        whole += walker.currentNode.data.toLowerCase();
      }
      for (let at = whole.indexOf(words); at >= 0; at = whole.indexOf(words, at + words.length)) ranges.push(range(nodes, at, at + words.length));
    }
    CSS.highlights.set("log-found", new Highlight(...ranges));
  }
}

function range(nodes, from, to) {
  const place = (offset) => nodes.findLast(([start]) => start <= offset) ?? nodes[0];
  const [startAt, start] = place(from);
  const [endAt, end] = place(to - 1);
  const result = document.createRange();
  result.setStart(start, Math.min(from - startAt, start.length));
  result.setEnd(end, Math.min(to - endAt, end.length));
  return result;
}
