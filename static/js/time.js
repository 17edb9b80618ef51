// Times in the viewer's zone, and durations that count on.
//
// The server writes <time datetime data-as> in UTC; here the text becomes local
// and the title names the zone. <cronium-elapsed since now> counts from since;
// now is the server's clock when it was written, so that a wrong clock in the
// browser does not matter.

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const date = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });
const exact = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hourCycle: "h23" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium", hourCycle: "h23" });

function short(at, now) {
  if (at.toDateString() === now.toDateString()) return clock.format(at);
  if (at.getFullYear() === now.getFullYear()) return `${day.format(at)}, ${clock.format(at)}`;
  return date.format(at);
}

function ago(at, now) {
  const seconds = Math.round((now - at) / 1000);
  if (seconds < -60) return `in ${span(-seconds)}`;
  if (seconds < 10) return "now";
  if (seconds < 86400) return `${span(seconds)} ago`;
  return short(at, now);
}

function span(seconds) {
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  return `${Math.floor(seconds / 3600)} h`;
}

// duration writes milliseconds as the server does: "2 ms", "12.4 s", "1 m 08 s".
export function duration(ms) {
  ms = Math.max(0, Math.floor(ms));
  const two = (n) => String(n).padStart(2, "0");
  const s = Math.floor(ms / 1000);
  if (ms < 1000) return `${ms} ms`;
  if (s < 60) return `${(Math.floor(ms / 100) / 10).toFixed(1)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} m ${two(s % 60)} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${two(Math.floor(s / 60) % 60)} m`;
  return `${Math.floor(s / 86400)} d ${two(Math.floor(s / 3600) % 24)} h`;
}

function show(root = document) {
  const now = new Date();
  for (const element of root.querySelectorAll("time[data-as]")) {
    const at = new Date(element.dateTime);
    const text = { ago, clock: short, full: (t) => full.format(t), exact: (t) => exact.format(t) }[element.dataset.as]?.(at, now);
    if (text && element.textContent !== text) element.textContent = text;
    element.title = `${full.format(at)} (${zone})`;
  }
}

// The server lays days out by it.
document.cookie = `zone=${zone}; path=/; max-age=31536000; samesite=lax`;

show();
setInterval(show, 20000);
document.addEventListener("htmx:after:swap", () => show());

customElements.define("cronium-elapsed", class extends HTMLElement {
  static observedAttributes = ["since", "now"];
  #timer;

  connectedCallback() {
    this.#tick();
  }

  attributeChangedCallback() {
    this.skew = Date.now() - Date.parse(this.getAttribute("now")) || 0;
    if (this.isConnected) this.#tick();
  }

  disconnectedCallback() {
    clearTimeout(this.#timer);
  }

  #tick() {
    clearTimeout(this.#timer);
    const ms = Date.now() - this.skew - Date.parse(this.getAttribute("since"));
    this.textContent = duration(ms);
    this.#timer = setTimeout(() => this.#tick(), ms < 60000 ? 100 : 1000);
  }
});
