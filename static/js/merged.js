// <cronium-merged src>: the output of all hosts of a job by time, each in a colour
// of its own: its last lines, anew as more is stored, and more of them on demand.
// All of it is a download.
import { draw } from "./ansi.js";

const few = 500;
const many = 5000; // what one answer holds at most
const colours = [6, 3, 4, 5, 2, 12, 11, 13, 14, 10, 9, 7]; // of the terminal palette

customElements.define("cronium-merged", class extends HTMLElement {
  last = few;

  connectedCallback() {
    if (this.list) return;
    this.list = document.createElement("div");
    this.list.className = "merged";
    this.list.tabIndex = 0;
    this.list.setAttribute("role", "log");
    this.list.setAttribute("aria-label", "Output of all hosts");
    this.foot = document.createElement("p");
    this.foot.className = "log-foot";
    this.replaceChildren(this.list, this.foot);
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
      this.live.addEventListener("merged", () => this.read());
      this.append(this.live);
    }
    this.read();
  }

  close() {
    this.live?.remove();
    this.live = undefined;
  }

  async read() {
    if (this.reading) return (this.again = true);
    this.reading = true;
    do {
      this.again = false;
      await this.fetch(-this.last, true);
    } while (this.again);
    this.reading = false;
  }

  async fetch(from, whole) {
    const response = await fetch(`${this.getAttribute("src")}?from=${from}&limit=${this.last}`);
    const page = await response.json();
    if (!response.ok) {
      this.foot.textContent = page.detail;
      return;
    }
    const bottom = this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < 30;
    const rows = page.lines.map((line) => this.row(line));
    if (whole) this.list.replaceChildren(...rows);
    else this.list.append(...rows);
    if (whole && bottom && !page.done) this.list.scrollTop = this.list.scrollHeight;
    this.tell(page, from);
    if (page.done) {
      this.done = true;
      this.close();
    }
  }

  tell(page, from) {
    const download = Object.assign(document.createElement("a"), { href: `${this.getAttribute("src")}?download=1`, textContent: "Download all" });
    const earlier = from < 0 ? page.next - page.lines.length : 0;
    const text = earlier > 0 ? `The last ${page.lines.length} of ${page.next} lines. ` : `${page.next} lines. `;
    const more = Object.assign(document.createElement("button"), { type: "button", className: "btn small plain", textContent: `Show ${many}` });
    more.onclick = () => {
      this.last = many;
      this.read();
    };
    this.foot.replaceChildren(text, ...(earlier > 0 && this.last < many ? [more, " "] : []), download);
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
