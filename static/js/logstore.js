// The lines of one execution's output as far as a viewer needs them: pages of
// lines are fetched when asked for and the oldest forgotten; what is written
// meanwhile arrives by the stream and is added to the pages that are there.
//
// A page knows up to which offset of the output it was read. A message of the
// stream is added to it only if it begins there or later: what is in both is
// not doubled, and a page that a message straddles is read again.
//
// A colour that is switched on and not off goes on in the lines below, as in a
// terminal. A page knows it from the page above it, so that one is read as well;
// further up is not looked.
import { carry } from "./ansi.js";
import { follow, leave } from "./stream.js";

const pageLines = 500;
const maxPages = 40;
const maxText = 16384; // characters of a line that are kept

export class LogStore {
  rows = 0; // lines, an unfinished last one included
  bytes = 0;
  dropped = 0;
  state = "loading"; // loading, live, stale, ended
  #pages = new Map(); // number → {lines, styles, used, loading, upTo, skipped, notBefore}
  #position = null; // {offset, line}: where the stream goes on
  #following = null; // what was given to the stream
  #retry;
  #closed = false;

  // changed is called after anything changed; once a frame is enough for it.
  constructor(execution, changed) {
    this.execution = execution;
    this.base = `/api/v1/executions/${execution}/output`;
    this.changed = changed;
  }

  // open loads the page of a line and follows from what is stored then.
  async open(line) {
    const answer = await this.#load(Math.floor(Math.max(0, line) / pageLines));
    if (this.#closed) return;
    if (!answer) {
      this.#become("stale");
      this.#retry = setTimeout(() => this.open(line), 3000);
    } else if (answer.done) {
      this.#end(answer);
    } else {
      // The byte at the end may lie on an unfinished line, which is counted.
      this.#position = { offset: answer.bytes, line: Math.max(0, answer.total_lines - 1) };
      this.#following = this.#followed();
      follow(this.#following);
    }
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#retry);
    leave(this.#following);
  }

  // known gives a line if it is here.
  known(n) {
    return this.#pages.get(Math.floor(n / pageLines))?.lines[n % pageLines];
  }

  // line gives a line if it is here, and asks for it if not.
  line(n) {
    const number = Math.floor(n / pageLines);
    const page = this.#pages.get(number);
    if (page) page.used = performance.now();
    const line = page?.lines[n % pageLines];
    if (!line && !page?.loading) this.#missing(number, page);
    return line;
  }

  // A page is asked for at once, and one that did not have a line, or did not
  // come, when its time has come.
  #missing(number, page) {
    const wait = (page?.notBefore ?? 0) - performance.now();
    if (wait <= 0) this.#load(number);
    else page.again ??= setTimeout(() => this.#closed || this.changed(), wait + 1);
  }

  // style is the style in which a line begins; see ansi.js.
  style(n) {
    const number = Math.floor(n / pageLines);
    const page = this.#pages.get(number);
    if (!page) return {};
    const before = this.#pages.get(number - 1);
    if (before) before.used = performance.now();
    else if (number > 0) this.#load(number - 1);
    const { styles, lines } = page;
    if (styles.length === 0) styles.push(before?.lines.length === pageLines ? this.#styleAfter(before) : {});
    while (styles.length <= n % pageLines) styles.push(carry(lines[styles.length - 1]?.text ?? "", styles.at(-1)));
    return styles[n % pageLines];
  }

  #styleAfter({ lines, styles }) {
    return lines.slice(Math.max(0, styles.length - 1)).reduce((style, line) => carry(line?.text ?? "", style), styles.at(-1) ?? {});
  }

  async #load(number) {
    const page = { lines: this.#pages.get(number)?.lines ?? [], styles: [], used: performance.now(), loading: true, upTo: 0, skipped: false };
    this.#pages.set(number, page);
    this.#forget();
    try {
      let answer;
      const lines = [];
      let from = number * pageLines;
      const end = from + pageLines;
      do {
        answer = await this.#range(from, end - from);
        for (const line of answer.lines) lines[line.n % pageLines] = line;
        if (answer.next_line <= from) break;
        from = answer.next_line;
      } while (from < end && from < answer.total_lines);
      page.lines = lines;
      page.styles = [];
      this.#restyle(number + 1);
      page.upTo = answer.bytes;
      page.notBefore = performance.now() + 1000;
      this.rows = Math.max(this.rows, answer.total_lines, number * pageLines + lines.length);
      this.#totals(answer);
      return answer;
    } catch {
      page.notBefore = performance.now() + 2000;
      return null;
    } finally {
      page.loading = false;
      if (page.skipped && this.#pages.get(number) === page && this.#position?.offset > page.upTo) this.#pages.delete(number);
      if (!this.#closed) this.changed();
    }
  }

  // restyle has the lines of the pages from one on drawn again: that above has
  // come.
  #restyle(number) {
    for (let page; (page = this.#pages.get(number)); number++) {
      page.styles = [];
      for (const line of page.lines) if (line) line.changed = true;
    }
  }

  async #range(from, limit) {
    const response = await fetch(`${this.base}?from_line=${from}&limit=${limit}`, { headers: { Accept: "application/json" } });
    if (!response.ok) throw new Error(`output: status ${response.status}`);
    return response.json();
  }

  #totals({ bytes, dropped }) {
    this.bytes = Math.max(this.bytes, bytes);
    this.dropped = dropped ?? this.dropped;
  }

  #forget() {
    if (this.#pages.size <= maxPages) return;
    const idle = [...this.#pages].filter(([, page]) => !page.loading).sort(([, a], [, b]) => a.used - b.used);
    for (const [number] of idle.slice(0, this.#pages.size - maxPages)) this.#pages.delete(number);
  }

  // What the page's stream calls back while it has the output (stream.js).
  #followed() {
    const store = this;
    return {
      execution: this.execution,
      get position() {
        return store.#position;
      },
      output: (message, id) => this.#output(message, id),
      gap: (message) => this.#gap(message),
      end: (totals) => this.#end(totals),
      state: (state) => this.#become(state),
    };
  }

  #become(state) {
    if (this.state === "ended" || this.state === state) return;
    this.state = state;
    this.changed();
  }

  #end(totals) {
    this.rows = Math.max(this.rows, totals.total_lines);
    this.#totals(totals);
    this.state = "ended";
    this.changed();
  }

  // gap: so much was written at once that it was not sent.
  #gap({ offset, line, total_lines: lines, bytes }) {
    this.#pages.delete(Math.floor(Math.max(0, this.rows - 1) / pageLines));
    this.#position = { offset, line };
    this.rows = Math.max(this.rows, lines);
    this.#totals({ bytes });
    this.changed();
  }

  // A message: records that follow one another; a record holds many lines, or
  // part of one.
  #output({ offset, line, records }, id) {
    const [next, nextLine] = id.split(":").map(Number);
    const message = { from: offset, to: next };
    let n = line;
    for (const record of records) {
      const parts = record.text.split("\n");
      parts.forEach((text, i) => {
        if (i > 0) n++;
        if (text !== "" || i < parts.length - 1) this.#put(n, text, record, message);
      });
    }
    this.#position = { offset: next, line: nextLine };
    this.#totals({ bytes: next });
    this.changed();
  }

  #put(n, text, record, message) {
    this.rows = Math.max(this.rows, n + 1);
    const page = this.#pageFor(n, message);
    if (!page) return;
    const at = n % pageLines;
    const line = page.lines[at];
    if (line) {
      const whole = line.text + text;
      line.text = whole.slice(0, maxText);
      line.cut = (line.cut ?? 0) + Math.max(0, whole.length - maxText);
      line.changed = true;
      page.styles.length = Math.min(page.styles.length, at + 1);
    } else if (page.lines.length === at) {
      page.lines.push({ n, at_ms: record.at_ms, stream: record.stream, text: text.slice(0, maxText), cut: Math.max(0, text.length - maxText) });
    }
  }

  // The page that a line of a message is added to; null if it is not here, has
  // the message already, or has to be read again.
  #pageFor(n, message) {
    const number = Math.floor(n / pageLines);
    let page = this.#pages.get(number);
    if (!page && n % pageLines === 0) {
      page = { lines: [], styles: [], used: performance.now(), loading: false, upTo: 0, skipped: false };
      this.#pages.set(number, page);
      this.#forget();
    }
    if (!page) return null;
    if (page.loading) page.skipped = true;
    if (page.loading || message.to <= page.upTo) return null;
    if (message.from < page.upTo) {
      this.#pages.delete(number);
      return null;
    }
    return page;
  }
}
