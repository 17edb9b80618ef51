// The sign that tells whether the page is kept up to date (stream.js), and the
// short messages to everyone.
import { onState } from "./stream.js";

let sign = { state: "", text: "" };
let soon;

function show() {
  for (const element of document.querySelectorAll("[data-live-sign]")) {
    element.dataset.state = sign.state;
    if (element.textContent !== sign.text) element.textContent = sign.text;
  }
}

function set(state, text) {
  sign = { state, text };
  show();
}

onState((state) => {
  clearTimeout(soon);
  if (state === "live") set("live", "live");
  else if (state === "done") set("off", "");
  else if (state === "out") set("stale", "signed out: reload the page");
  // A stream that is cut for less than a second is nobody's concern.
  else if (sign.state !== "stale") soon = setTimeout(() => set("stale", "reconnecting…"), sign.state ? 1000 : 3000);
});
document.addEventListener("htmx:after:swap", () => sign.state && show());

document.addEventListener("htmx:error", (event) => {
  if (event.detail.ctx?.request.method !== "GET") say("The server did not answer. Look whether it was done, and try again.", true);
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
