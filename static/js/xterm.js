// A screen of xterm.js, in our colours and sized to its element.
import "./xtermcsp.js";
import { Terminal } from "../vendor/xterm/xterm.mjs";
import { FitAddon } from "../vendor/xterm/addon-fit.mjs";
import { SearchAddon } from "../vendor/xterm/addon-search.mjs";

const plain = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];
const colours = [...plain, ...plain.map((name) => `bright${name[0].toUpperCase()}${name.slice(1)}`)];

export function newScreen(element, options = {}) {
  const style = getComputedStyle(element);
  const colour = (name) => style.getPropertyValue(name).trim();
  const screen = new Terminal({
    fontFamily: colour("--mono") || "monospace",
    fontSize: 13,
    lineHeight: 1.25,
    cursorBlink: false,
    scrollback: 10000,
    screenReaderMode: true,
    allowProposedApi: true,
    theme: {
      background: opaque(element), foreground: style.color, cursor: colour("--accent"), selectionBackground: "#55719a80",
      ...Object.fromEntries(colours.map((name, i) => [name, colour(`--ansi-${i}`)])),
    },
    ...options,
  });
  const fit = new FitAddon();
  const search = new SearchAddon();
  screen.loadAddon(fit);
  screen.loadAddon(search);
  screen.open(element);
  return { screen, fit, search };
}

// opaque is the colour that is seen behind an element.
function opaque(element) {
  for (let at = element; at; at = at.parentElement) {
    const background = getComputedStyle(at).backgroundColor;
    if (background !== "rgba(0, 0, 0, 0)" && background !== "transparent") return background;
  }
  return "#000";
}

// copyKeys lets Ctrl+Shift+C copy what is selected, and leaves Ctrl+Shift+V to
// the browser, which pastes.
export function copyKeys(screen) {
  screen.attachCustomKeyEventHandler((event) => {
    if (event.type !== "keydown" || !event.ctrlKey || !event.shiftKey) return true;
    if (event.code === "KeyC") {
      event.preventDefault();
      if (screen.hasSelection()) navigator.clipboard?.writeText(screen.getSelection());
      return false;
    }
    return event.code !== "KeyV";
  });
}
