// <cronium-merged src>: the output of all hosts of a job by time, each in a colour
// of its own: its last lines, anew as more is stored; or all from the beginning, or
// those that contain a text, page by page. All of it is a download.
import { draw } from "./ansi.js";

const few = 500;
const many = 5000; // what one answer holds at most
const colours = [6, 3, 4, 5, 2, 12, 11, 13, 14, 10, 9, 7]; // of the terminal palette

const make = (name, props, ...children) => {
  const element = Object.assign(document.createElement(name), props);
  element.append(...children);
  return element;
};

customElements.define("cronium-merged", class extends HTMLElement {
  last = few;
  query = "";
  paged = false; // from the beginning, or of a search; else the last lines
  next = ""; // where the next page begins
  more = false; // there is one now

  connectedCallback() {
    if (this.list) return;
    this.list = make("div", { className: "merged", tabIndex: 0, role: "log", ariaLabel: "Output of all hosts" });
    this.field = make("input", { type: "search", placeholder: "Find in all output", spellcheck: false, autocomplete: "off", ariaLabel: "Find in all output" });
    this.field.oninput = () => {
      clearTimeout(this.typing);
      this.typing = setTimeout(() => this.find(this.field.value), 200);
    };
    this.foot = make("p", { className: "log-foot", role: "status" });
    this.replaceChildren(make("div", { className: "log-bar" }, this.field), this.list, this.foot);
    this.colour = new Map();
    this.panel = this.closest("[data-panel]");
    this.tabbed = ({ detail }) => (detail === this.panel.dataset.panel ? this.open() : this.close());
    this.closest("cronium-tabs").addEventListener("cronium:tab", this.tabbed);
    if (!this.panel.hidden) this.open();
  }

  disconnectedCallback() {
    queueMicrotask(() => this.isConnected || this.close());
  }

  open() {
    const job = this.getAttribute("src").split("/").at(-2);
    if (!this.done && !this.live) {
      this.live = document.createElement("cronium-live");
      this.live.hidden = true;
      this.live.setAttribute("src", `/live?topics=merged:${job}`);
      this.live.addEventListener("merged", () => this.grown());
      this.append(this.live);
    }
    this.grown();
  }

  close() {
    this.live?.remove();
    this.live = undefined;
  }

  // grown reads what has come, unless there is more than was asked for already.
  grown() {
    if (!this.paged || !this.more) this.read();
  }

  find(text) {
    if (text === this.query) return;
    this.query = text;
    this.from(text !== "");
  }

  // from begins anew: with the first lines, or the last ones.
  from(beginning) {
    this.paged = beginning;
    this.next = "";
    this.read();
  }

  async read() {
    if (this.reading) return (this.again = true);
    this.reading = true;
    do {
      this.again = false;
      await this.fetch();
    } while (this.again);
    this.reading = false;
  }

  async fetch() {
    const { query, paged, next } = this;
    const ask = new URLSearchParams(paged ? { limit: few } : { from: -this.last });
    if (query) ask.set("q", query);
    if (paged && next) ask.set("cursor", next);
    const response = await fetch(`${this.getAttribute("src")}?${ask}`);
    const page = await response.json();
    if (query !== this.query || paged !== this.paged || next !== this.next) return; // asked for something else since
    if (!response.ok) {
      this.foot.textContent = page.fields?.[0] ? `The text ${page.fields[0].message}.` : page.detail;
      return;
    }
    const whole = !paged || !next;
    const bottom = this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < 30;
    const rows = page.lines.map((line) => this.row(line));
    if (whole) this.list.replaceChildren(...rows);
    else this.list.append(...rows);
    if (!paged && bottom && !page.done) this.list.scrollTop = this.list.scrollHeight;
    this.more = page.more;
    if (paged) this.next = page.next ?? "";
    this.tell(page);
    if (page.done && !page.more) {
      this.done = true;
      this.close();
    }
  }

  tell(page) {
    const shown = this.list.childElementCount;
    const button = (textContent, onclick) => make("button", { type: "button", className: "btn small plain", textContent, onclick });
    const lines = (n) => `${n.toLocaleString("en")} ${n === 1 ? "line" : "lines"}`;
    const parts = [];
    if (this.query) parts.push(`${lines(shown)} with “${this.query}”${page.more ? " so far" : ""}. `);
    else if (this.paged) parts.push(page.more ? `The first ${lines(shown)}. ` : `${lines(shown)}. `);
    else parts.push(page.total > shown ? `The last ${shown.toLocaleString("en")} of ${lines(page.total)}. ` : `${lines(shown)}. `);
    if (this.paged && page.more) parts.push(button("More", () => this.read()));
    if (!this.paged && page.total > shown) {
      if (this.last < many) parts.push(button(`Show ${many}`, () => ((this.last = many), this.read())));
      parts.push(button("From the beginning", () => this.from(true)));
    } else if (this.paged && !this.query) parts.push(button("The last lines", () => this.from(false)));
    const download = make("a", { href: `${this.getAttribute("src")}?download=1`, textContent: "Download all" });
    this.foot.replaceChildren(make("span", {}, ...parts), download);
  }

  row(line) {
    const row = document.createElement("div");
    row.className = "merged-row";
    const name = document.createElement("a");
    name.dataset.host = line.server;
    name.href = `?host=${encodeURIComponent(line.server)}`;
    name.textContent = line.server;
    if (!this.colour.has(line.server)) this.colour.set(line.server, colours[this.colour.size % colours.length]);
    name.style.color = `var(--ansi-${this.colour.get(line.server)})`;
    const text = document.createElement("span");
    if (line.stream === "stderr") text.className = "err";
    draw(text, line.text);
    row.append(name, text);
    return row;
  }
});
