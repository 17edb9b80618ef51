// The one live connection of the page, for everything on it that changes.
//
// <cronium-live src="/live?topics=…"> asks for topics: what has changed of a job
// arrives as parts of the page, and any other topic as an event of that name on
// the element. A log (logstore.js) asks for the output of one execution. All of
// it comes by a single EventSource, because a browser has six connections to a
// server; a page in the background has none.

const elements = new Set();
const listeners = new Set();
let log = null; // {execution, position, output, gap, end, state}: the one followed
let source = null;
let state = "";
let tries = 0;
let timer;
let swapped = Promise.resolve();

// onState calls back with "live", "stale" (cut off, tries again), "done"
// (nothing changes any more) or "out" (signed out) whenever that changes.
export function onState(callback) {
  listeners.add(callback);
}

// follow has the output of a log's execution come from its position on, until
// leave. A page follows one log; the newest wins.
export function follow(it) {
  log = it;
  change();
}

export function leave(it) {
  if (!it || log !== it) return;
  log = null;
  if (source) change();
}

function became(next) {
  if (next === "live" || next === "stale") log?.state(next);
  if (state === next) return;
  state = next;
  for (const callback of listeners) callback(next);
}

// change connects anew once everything that changes now has changed.
function change() {
  clearTimeout(timer);
  timer = setTimeout(open, 0);
}

const topicsOf = (element) => new URL(element.getAttribute("src"), location).searchParams.get("topics").split(",");

function address() {
  const query = new URLSearchParams();
  for (const element of elements) {
    for (const [name, value] of new URL(element.getAttribute("src"), location).searchParams) query.set(name, value);
  }
  const topics = new Set([...elements].flatMap(topicsOf));
  if (topics.size > 0) query.set("topics", [...topics].join());
  if (log) {
    query.set("output", log.execution);
    query.set("offset", log.position.offset);
    query.set("line", log.position.line);
  }
  return topics.size > 0 || log ? `/live?${query}` : "";
}

function close() {
  clearTimeout(timer);
  source?.close();
  source = null;
}

function open() {
  close();
  const url = document.hidden ? "" : address();
  if (!url) return;
  const mine = new EventSource(url);
  source = mine;
  mine.onopen = () => {
    tries = 0;
    became("live");
  };
  mine.onerror = () => {
    became("stale");
    // Cut off, a browser tries again by itself; refused, it does not.
    if (mine.readyState === EventSource.CLOSED) again();
  };
  mine.addEventListener("done", () => {
    close();
    became("done");
  });
  mine.onmessage = ({ data }) => swap(data);
  for (const topic of new Set([...elements].flatMap(topicsOf))) {
    if (!topic.includes(":")) mine.addEventListener(topic, () => tell(topic));
  }
  // Hosts of a job on servers that are not as they were.
  mine.addEventListener("hosts", ({ data }) => {
    for (const element of elements) element.dispatchEvent(new CustomEvent("cronium:hosts", { detail: JSON.parse(data) }));
  });
  mine.addEventListener("merged", () => {
    for (const element of elements) if (topicsOf(element).some((topic) => topic.startsWith("merged:"))) element.dispatchEvent(new CustomEvent("merged"));
  });
  if (log) listen(mine, log);
}

function listen(to, it) {
  const read = (handle) => ({ data, lastEventId }) => log === it && handle(JSON.parse(data), lastEventId);
  to.addEventListener("output", read(it.output));
  to.addEventListener("gap", read(it.gap));
  to.addEventListener("end", read((totals) => {
    log = null;
    it.end(totals);
  }));
}

function tell(topic) {
  for (const element of elements) {
    if (topicsOf(element).includes(topic)) element.dispatchEvent(new CustomEvent(topic, { bubbles: true }));
  }
}

// Parts of the page, one message after another.
function swap(text) {
  swapped = swapped.then(() => {
    const [element] = elements;
    return element && window.htmx.swap({ text, sourceElement: element, target: element, swap: "none" });
  });
}

async function again() {
  close();
  const refused = tries++;
  const answer = await fetch("/api/v1/whoami").catch(() => null);
  if (source) return;
  if (answer?.status === 401) return became("out");
  clearTimeout(timer);
  timer = setTimeout(open, Math.min(1000 * 2 ** refused, 15000));
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) close();
  else if (state !== "done" || log) open();
});

customElements.define("cronium-live", class extends HTMLElement {
  connectedCallback() {
    elements.add(this);
    change();
  }

  disconnectedCallback() {
    elements.delete(this);
    if (source) change();
  }
});
