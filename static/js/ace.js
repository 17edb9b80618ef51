// Loads the code editor (Ace) once, set up for a strict content policy: no
// inline styles, no workers, its parts from our own address.
import { helpers } from "./helpers.js";

const base = new URL("../vendor/ace/", import.meta.url).href;
let loading;

const script = (name) => new Promise((resolve, reject) => {
  const element = document.createElement("script");
  element.src = base + name;
  element.onload = resolve;
  element.onerror = () => reject(new Error(`${name} did not load`));
  document.head.append(element);
});

export function loadAce() {
  loading ??= (async () => {
    await script("ace.js");
    const { ace } = window;
    for (const path of ["basePath", "modePath", "themePath", "workerPath"]) ace.config.set(path, base.replace(/\/$/, ""));
    ace.config.set("useStrictCSP", true);
    ace.config.set("loadWorkerFromBlob", false);
    await Promise.all([script("ext-language_tools.js"), script("ext-searchbox.js")]);
    complete(ace);
    return ace;
  })();
  return loading;
}

// complete offers the helper API of the file's language.
function complete(ace) {
  const tools = ace.require("ace/ext/language_tools");
  tools.addCompleter({
    identifierRegexps: [/[\w.$]/],
    getCompletions(editor, session, position, prefix, done) {
      const api = helpers[session.$mode.$id.split("/").pop()];
      done(null, (api?.calls ?? []).map((call) => ({ caption: call.sign, value: call.name, meta: "cronium", score: 1000, call })));
    },
    getDocTooltip(item) {
      if (!item.call) return;
      item.docText = item.call.text;
    },
  });
}

const byEnding = { py: "python", js: "javascript", mjs: "javascript", cjs: "javascript", sh: "sh", bash: "sh", json: "json" };

// modeOf is Ace's mode for a file name.
export function modeOf(name) {
  return `ace/mode/${byEnding[name.split(".").pop().toLowerCase()] ?? "text"}`;
}

export function themeOf() {
  const chosen = document.documentElement.dataset.theme;
  const dark = chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  return dark ? "ace/theme/github_dark" : "ace/theme/github_light_default";
}
