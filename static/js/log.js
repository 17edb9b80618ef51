// <cronium-log execution started lines>: the output of one execution.
//
// Only the rows in view are elements. logstore.js has the lines, logscroll.js
// the place, logfind.js the search, ansi.js the colours; this file draws, and
// answers the person. Long lines are wrapped if the person wants it: then the
// heights of lines are learned as they are drawn.
import { draw } from "./ansi.js";
import { LogFind } from "./logfind.js";
import { LogScroll } from "./logscroll.js";
import { LogStore } from "./logstore.js";
import { say } from "./live.js";

const rowHeight = 20;
const character = 7.5; // width of one, for a first guess
const times = ["clock", "since start", "off"];
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3 });

function make(name, props = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(props)) {
    if (key.startsWith("aria-") || key === "role") element.setAttribute(key, value);
    else element[key] = value;
  }
  element.append(...children);
  return element;
}

const number = (n) => n.toLocaleString("en");
function size(n) {
  const units = ["B", "KiB", "MiB", "GiB"];
  let unit = 0;
  while (n >= 1024 && unit < 3) [n, unit] = [n / 1024, unit + 1];
  return `${unit && n < 100 ? n.toFixed(1) : Math.round(n)} ${units[unit]}`;
}

customElements.define("cronium-log", class extends HTMLElement {
  static observedAttributes = ["started", "execution"];

  connectedCallback() {
    this.#start();
  }

  disconnectedCallback() {
    this.#stop();
  }

  attributeChangedCallback(name) {
    if (!this.store) return;
    if (name === "started") {
      this.started = Date.parse(this.getAttribute("started"));
      this.#redraw();
    } else {
      this.#stop();
      this.#start();
    }
  }

  #start() {
    this.started = Date.parse(this.getAttribute("started"));
    this.marked = this.#hash();
    this.following = !this.marked;
    this.shown = []; // [{n, element, line}] in the order of the page
    this.columns = 100; // characters in a wrapped row, about
    this.#build();
    this.store = new LogStore(this.getAttribute("execution"), () => this.#soon());
    this.heights = new Map(); // of wrapped lines that were drawn: number → pixels
    this.scroll = new LogScroll(this.view, this.space, rowHeight, (n) => this.#height(n));
    this.find = new LogFind(this);
    this.resized = new ResizeObserver(() => this.#relaid());
    this.resized.observe(this.view);
    this.hashed = () => {
      this.marked = this.#hash();
      if (this.marked) this.goto(this.marked[0] - 1);
    };
    addEventListener("hashchange", this.hashed);
    const first = this.marked ? this.marked[0] - 1 : Number(this.getAttribute("lines")) || 0;
    this.store.open(first).then(() => {
      if (this.marked) this.goto(this.marked[0] - 1);
      else if (this.store?.state === "ended") this.#openAtEnd();
    });
    this.#soon();
  }

  #stop() {
    cancelAnimationFrame(this.frame);
    clearTimeout(this.settle);
    this.frame = 0;
    this.store?.close();
    this.find?.close();
    this.resized?.disconnect();
    removeEventListener("hashchange", this.hashed);
    this.store = null;
    this.replaceChildren();
  }

  #build() {
    this.mode = localStorage.getItem("log-times") || times[0];
    this.findField = make("input", { type: "search", placeholder: "Find in output", spellcheck: false, autocomplete: "off", "aria-label": "Find in output" });
    this.findCount = make("span", { className: "log-count", role: "status" });
    this.followButton = make("button", { type: "button", className: "btn small plain", textContent: "Follow", onclick: () => this.#follow(!this.following) });
    this.wrapButton = make("button", { type: "button", className: "btn small plain", textContent: "Wrap", title: "Wrap long lines (W)", "aria-keyshortcuts": "w", onclick: () => this.#wrap(!this.wrapped) });
    this.timesButton = make("button", { type: "button", className: "btn small plain", textContent: "Times", onclick: () => this.#nextTimes() });
    const download = make("a", { href: `/api/v1/executions/${this.getAttribute("execution")}/output?download=1`, className: "btn small plain", textContent: "Download", download: "" });
    const bar = make("div", { className: "log-bar" }, this.findField, this.findCount, this.followButton, this.wrapButton, this.timesButton, download);
    this.rows = make("div", { className: "log-rows" });
    this.space = make("div", { className: "log-space" }, this.rows);
    this.view = make("div", { className: "log-view", tabIndex: 0, role: "region", "aria-label": "Output" }, this.space);
    this.totals = make("span");
    this.sign = make("span", { role: "status" });
    this.replaceChildren(bar, this.view, make("div", { className: "log-foot" }, this.totals, this.sign));
    this.view.onscroll = () => this.#scrolled();
    this.view.onclick = (event) => this.#clicked(event);
    this.onkeydown = (event) => this.#key(event);
    this.#showTimes();
    this.wrapped = localStorage.getItem("log-wrap") === "on";
    this.#showWrap();
  }

  // soon draws once in the next frame, however often it is called.
  #soon() {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      if (this.store) this.#draw();
    });
  }

  #redraw() {
    for (const row of this.shown) row.line = null;
    this.#soon();
  }

  #draw() {
    const { store, scroll, view } = this;
    scroll.resize(store.rows, this.usual);
    if (this.following) scroll.toEnd();
    let top;
    // Heights that turn out to be others move the place, so look again.
    for (let tries = 0; tries < 4; tries++) {
      const { n: first, into } = scroll.at;
      let last = first;
      for (let y = -into; last < store.rows && y < view.clientHeight; last++) y += this.#height(last);
      this.#keep(first, last);
      for (const row of this.shown) this.#drawRow(row);
      top = -into;
      if (!this.wrapped || !this.#measure()) break;
      scroll.settle();
    }
    if (this.following) scroll.bar();
    this.rows.style.transform = `translateY(${top}px)`;
    this.rows.style.setProperty("--digits", `${String(store.rows).length}ch`);
    this.find.highlight();
    this.#foot();
  }

  // height is that of a line: as it was drawn, else as its text lets guess.
  #height(n) {
    if (!this.wrapped) return rowHeight;
    return this.heights.get(n) ?? rowHeight * Math.max(1, Math.ceil((this.store.known(n)?.text.length ?? 0) / this.columns));
  }

  // measure learns the heights of the rows in view, and tells whether one is
  // another than was known.
  #measure() {
    let other = false;
    for (const row of this.shown) {
      const height = row.element.offsetHeight;
      other ||= height !== this.#height(row.n);
      if (row.line) this.heights.set(row.n, height);
    }
    if (this.heights.size > 20000) this.heights.clear();
    const [row] = this.shown;
    if (row) this.columns = Math.max(10, Math.floor(row.text.clientWidth / character));
    let sum = 0;
    for (const height of this.heights.values()) sum += height;
    if (sum > 0) this.usual = sum / this.heights.size;
    return other;
  }

  // relaid forgets heights: the width, or what stands beside the lines, is
  // another.
  #relaid() {
    this.heights?.clear();
    this.#soon();
  }

  // keep has one element for each line from first to before last, moving those
  // that are there already as little as possible.
  #keep(first, last) {
    const spare = this.shown.filter((row) => row.n < first || row.n >= last);
    const kept = new Map(this.shown.filter((row) => row.n >= first && row.n < last).map((row) => [row.n, row]));
    this.shown = [];
    let before = this.rows.firstChild;
    for (let n = first; n < last; n++) {
      let row = kept.get(n);
      if (!row) {
        row = spare.pop() ?? this.#newRow();
        Object.assign(row, { n, line: null });
      }
      if (row.element === before) before = before.nextSibling;
      else this.rows.insertBefore(row.element, before);
      this.shown.push(row);
    }
    for (const row of spare) row.element.remove();
  }

  #newRow() {
    const anchor = make("a", { className: "log-n", tabIndex: -1 });
    const time = make("span", { className: "log-t" });
    const text = make("span", { className: "log-x" });
    return { anchor, time, text, element: make("div", { className: "log-row" }, anchor, time, text) };
  }

  #drawRow(row) {
    const line = this.store.line(row.n);
    const marked = this.marked && row.n + 1 >= this.marked[0] && row.n + 1 <= this.marked[1];
    row.element.classList.toggle("is-marked", Boolean(marked));
    row.element.classList.toggle("is-found", this.find.current === row.n);
    if (line && row.line === line && !line.changed) return;
    row.anchor.textContent = row.n + 1;
    row.anchor.href = `#L${row.n + 1}`;
    row.line = line ?? null;
    if (!line) {
      row.time.textContent = "";
      row.text.textContent = "…";
      return;
    }
    line.changed = false;
    row.element.classList.toggle("is-stderr", line.stream === "stderr");
    row.time.textContent = this.#time(line.at_ms);
    draw(row.text, line.text, this.store.style(row.n));
    if (line.stream === "stderr") row.text.prepend(make("span", { className: "sr", textContent: "stderr: " }));
    if (line.cut) row.text.append(make("em", { textContent: ` … ${size(line.cut)} more in the download` }));
  }

  #time(ms) {
    if (this.mode === "off" || ms === undefined) return "";
    if (this.mode === "clock" && this.started) return clock.format(this.started + ms);
    return `+${(ms / 1000).toFixed(3)}`;
  }

  #foot() {
    const { rows, bytes, dropped, state } = this.store;
    let text = rows === 0 && state === "ended" ? "No output" : `${number(rows)} ${rows === 1 ? "line" : "lines"} · ${size(bytes)}`;
    if (dropped) text += ` · ${size(dropped)} over the limit dropped`;
    if (this.totals.textContent !== text) this.totals.textContent = text;
    const sign = { loading: "", live: "live", stale: "reconnecting…", ended: "complete" }[state];
    if (this.sign.textContent !== sign) this.sign.textContent = sign;
    this.dataset.state = state;
    this.followButton.hidden = state === "ended";
    this.followButton.setAttribute("aria-pressed", this.following);
  }

  #scrolled() {
    const by = this.scroll.moved();
    if (by < 0) this.#follow(false);
    else if (by > 0 && this.scroll.atEnd && this.store.state !== "ended") this.#follow(true);
    clearTimeout(this.settle);
    this.settle = setTimeout(() => this.following || this.scroll.rest(), 200);
    this.#soon();
  }

  #openAtEnd() {
    this.scroll.resize(this.store.rows);
    this.scroll.toEnd();
    this.#follow(false);
  }

  #follow(on) {
    if (this.following === on) return;
    this.following = on;
    this.#soon();
  }

  // goto shows a line (from 0) in the upper third.
  goto(n) {
    this.#follow(false);
    this.scroll.resize(Math.max(this.store.rows, n + 1), this.usual);
    this.scroll.toLine(n, Math.floor(this.view.clientHeight / 3));
    this.#soon();
  }

  #wrap(on) {
    const { n, into } = this.scroll.at;
    this.wrapped = on;
    localStorage.setItem("log-wrap", on ? "on" : "off");
    this.#showWrap();
    this.scroll.resize(this.store.rows, this.usual);
    if (!this.following) this.scroll.toLine(n, into > 0 && !on ? 0 : -into);
    this.#relaid();
  }

  #showWrap() {
    this.wrapButton.setAttribute("aria-pressed", this.wrapped);
    this.view.classList.toggle("is-wrapped", this.wrapped);
    if (!this.wrapped) this.usual = rowHeight;
  }

  #hash() {
    const match = location.hash.match(/^#L(\d+)(?:-L?(\d+))?$/);
    if (!match) return null;
    const [from, to] = [Number(match[1]), Number(match[2] ?? match[1])];
    return from > 0 ? [Math.min(from, to), Math.max(from, to)] : null;
  }

  #clicked(event) {
    const anchor = event.target.closest(".log-n");
    if (!anchor) return;
    event.preventDefault();
    const n = Number(anchor.textContent);
    this.marked = event.shiftKey && this.marked ? [Math.min(this.marked[0], n), Math.max(this.marked[0], n)] : [n, n];
    const [from, to] = this.marked;
    history.replaceState(history.state, "", from === to ? `#L${from}` : `#L${from}-L${to}`);
    this.#follow(false);
    navigator.clipboard?.writeText(location.href).then(() => say(`Link to line ${number(from)} copied.`), () => {});
    this.#soon();
  }

  #nextTimes() {
    this.mode = times[(times.indexOf(this.mode) + 1) % times.length];
    localStorage.setItem("log-times", this.mode);
    this.#showTimes();
    this.#relaid();
    this.#redraw();
  }

  #showTimes() {
    if (!times.includes(this.mode)) this.mode = times[0];
    this.timesButton.title = `Times: ${this.mode}`;
    this.timesButton.setAttribute("aria-label", this.timesButton.title);
    this.rows.classList.toggle("no-times", this.mode === "off");
  }

  #key(event) {
    const inView = event.target === this.view;
    if ((event.ctrlKey || event.metaKey) && event.key === "f" || inView && event.key === "/") {
      event.preventDefault();
      this.findField.select();
    } else if (inView && event.key === "w" && !event.ctrlKey && !event.metaKey && !event.altKey) {
      this.#wrap(!this.wrapped);
    } else if (inView && event.key === "End") {
      event.preventDefault();
      if (this.store.state !== "ended") this.#follow(true);
      this.scroll.toEnd();
      this.#soon();
    } else if (inView && event.key === "Home") {
      event.preventDefault();
      this.goto(0);
    }
  }
});
