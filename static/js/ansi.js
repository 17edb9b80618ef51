// Reads the text of one line of output as a terminal would: colours and bold
// (SGR) become spans, OSC 8 links become links if they are http(s), all other
// sequences are dropped, control characters become visible signs. Nothing of it
// is ever read as HTML.

// One escape sequence: CSI, OSC (ended by BEL or ST), other strings, two-character.
const sequence = /\x1b(?:\[([0-9;:?<=>!]*)[ -\/]*([@-~])|\](.*?)(?:\x07|\x1b\\|$)|[PX^_].*?(?:\x1b\\|$)|[ -\/]*[0-~]|$)|\x9b[0-9;:?]*[ -\/]*[@-~]/gs;

// Where begins what stays of a line on which the cursor went back to the start.
function afterReturn(text) {
  const end = text.endsWith("\r") ? text.length - 1 : text.length;
  return [text.lastIndexOf("\r", end - 1) + 1, end];
}

const visible = (text) => text.replace(/[\x00-\x08\x0b-\x1f\x7f]/g, (c) => (c === "\x7f" ? "\u2421" : String.fromCharCode(0x2400 + c.charCodeAt(0))));
const plain = (text) => !/[\x1b\x9b]/.test(text);

// carry gives the style in which a terminal goes on after a text.
export function carry(text, style) {
  if (plain(text)) return style;
  for (const match of text.matchAll(sequence)) if (match[2] === "m") style = sgr(style, match[1]);
  return style;
}

// parse gives the pieces of a line that begins in a style: {text, style, link}.
export function parse(line, style = {}) {
  const [from, to] = afterReturn(line);
  style = carry(line.slice(0, from), style);
  line = line.slice(from, to);
  const pieces = [];
  let link = null;
  let at = 0;
  const push = (text) => {
    if (text) pieces.push({ text: visible(text), style, link });
  };
  if (plain(line)) {
    push(line);
    return pieces;
  }
  for (const match of line.matchAll(sequence)) {
    push(line.slice(at, match.index));
    at = match.index + match[0].length;
    if (match[2] === "m") style = sgr(style, match[1]);
    else if (match[3]?.startsWith("8;")) link = safeLink(match[3].slice(2));
  }
  push(line.slice(at));
  return pieces;
}

function safeLink(parameters) {
  const address = parameters.slice(parameters.indexOf(";") + 1);
  try {
    const url = new URL(address);
    return url.protocol === "https:" || url.protocol === "http:" ? url.href : null;
  } catch {
    return null;
  }
}

function sgr(style, parameters) {
  const codes = parameters.split(/[;:]/).map(Number);
  const next = { ...style };
  for (let i = 0; i < codes.length; i++) {
    const c = codes[i];
    if (c === 0) for (const key of Object.keys(next)) delete next[key];
    else if (c === 1) next.bold = true;
    else if (c === 2) next.faint = true;
    else if (c === 3) next.italic = true;
    else if (c === 4) next.underline = true;
    else if (c === 7) next.inverse = true;
    else if (c === 9) next.struck = true;
    else if (c === 22) next.bold = next.faint = false;
    else if (c === 23) next.italic = false;
    else if (c === 24) next.underline = false;
    else if (c === 27) next.inverse = false;
    else if (c === 29) next.struck = false;
    else if (c >= 30 && c <= 37) next.fg = c - 30;
    else if (c >= 90 && c <= 97) next.fg = c - 82;
    else if (c === 39) delete next.fg;
    else if (c >= 40 && c <= 47) next.bg = c - 40;
    else if (c >= 100 && c <= 107) next.bg = c - 92;
    else if (c === 49) delete next.bg;
    else if (c === 38 || c === 48) {
      const [colour, used] = extended(codes.slice(i + 1));
      if (colour !== null) next[c === 38 ? "fg" : "bg"] = colour;
      i += used;
    }
  }
  return next;
}

// extended reads 5;N and 2;R;G;B: a number below 16, or a CSS colour.
function extended(codes) {
  const byte = (n) => Math.min(255, Math.max(0, n | 0));
  if (codes[0] === 2) return [`rgb(${byte(codes[1])} ${byte(codes[2])} ${byte(codes[3])})`, 4];
  if (codes[0] !== 5) return [null, 0];
  const n = byte(codes[1]);
  if (n < 16) return [n, 2];
  if (n > 231) return [`rgb(${Array(3).fill(8 + (n - 232) * 10).join(" ")})`, 2];
  const step = (v) => (v ? 55 + v * 40 : 0);
  const cube = n - 16;
  return [`rgb(${step(Math.floor(cube / 36))} ${step(Math.floor(cube / 6) % 6)} ${step(cube % 6)})`, 2];
}

// draw puts the pieces of a line that begins in a style into an element.
export function draw(element, line, style) {
  element.replaceChildren(...parse(line, style).map(node));
}

const colour = (c) => (typeof c === "number" ? `var(--ansi-${c})` : c);

function node({ text, style, link }) {
  if (!link && Object.keys(style).length === 0) return document.createTextNode(text);
  const element = document.createElement(link ? "a" : "span");
  element.textContent = text;
  if (link) {
    element.href = link;
    element.target = "_blank";
    element.rel = "noopener noreferrer nofollow";
    element.title = link;
  }
  let [fg, bg] = [colour(style.fg), colour(style.bg)];
  if (style.inverse) [fg, bg] = [bg ?? "var(--log-bg)", fg ?? "var(--ink)"];
  const look = element.style;
  if (fg) look.color = fg;
  if (bg) look.background = bg;
  if (style.bold) look.fontWeight = 700;
  if (style.faint) look.opacity = 0.7;
  if (style.italic) look.fontStyle = "italic";
  look.textDecoration = [style.underline && "underline", style.struck && "line-through"].filter(Boolean).join(" ");
  return element;
}
