// The sign that tells whether the page is kept up to date. The stream itself is
// htmx's (hx-sse:connect on #live); it reconnects by itself.

let state = "";
let soon;

function set(next, text) {
  state = next;
  clearTimeout(soon);
  for (const sign of document.querySelectorAll("[data-live-sign]")) {
    sign.dataset.state = next;
    if (sign.textContent !== text) sign.textContent = text;
  }
}

const live = () => set("live", "live");
// A stream that is cut for less than a second is nobody's concern.
const stale = () => {
  if (state === "stale") return;
  clearTimeout(soon);
  soon = setTimeout(() => set("stale", "reconnecting…"), state ? 1000 : 3000);
};

document.addEventListener("htmx:sse:after:connection", live);
document.addEventListener("htmx:sse:error", (event) => {
  if (event.detail.status === 401 || event.detail.status === 403) {
    clearTimeout(soon);
    set("stale", "signed out: reload the page");
    event.target.remove();
    return;
  }
  stale();
});
document.addEventListener("htmx:sse:close", (event) => {
  if (event.detail.reason === "message") set("off", "");
  else if (event.detail.reason === "ended") stale();
});
// The very first connection is htmx's plain request: it is not tried again.
document.addEventListener("htmx:error", (event) => {
  if (event.target.id === "live") {
    stale();
    setTimeout(() => window.htmx.trigger(event.target, "again"), 3000);
  } else if (event.detail.ctx?.request.method !== "GET") {
    say("The server did not answer. Look whether it was done, and try again.", true);
  }
});
document.addEventListener("htmx:after:swap", () => {
  if (state === "live") live();
});
// A toast goes by itself; an error stays twice as long.
function passing(toast) {
  setTimeout(() => toast.remove(), toast.classList.contains("is-failure") ? 12000 : 5000);
}
const toasts = document.getElementById("toasts");
if (toasts) {
  for (const toast of toasts.children) passing(toast);
  new MutationObserver((changes) => {
    for (const { addedNodes } of changes) for (const node of addedNodes) if (node.nodeType === 1) passing(node);
  }).observe(toasts, { childList: true });
}

// say shows a short message to everyone, screen readers included.
export function say(text, failed = false) {
  const toast = document.createElement("p");
  toast.className = failed ? "toast is-failure" : "toast";
  toast.textContent = text;
  toasts.append(toast);
}
