// Copies the front-end files that the server embeds from node_modules/ to
// static/vendor/, as they are, each with its licence. Run by frontend.sh after
// `npm ci`. What is not listed here is not shipped.
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const modules = join(root, "node_modules");
const vendor = join(root, "static", "vendor");

const ace = (names) => names.map((name) => `ace-builds/src-min-noconflict/${name}.js`);
const aceThemes = ["github_light_default", "github_dark"];

// Folder in static/vendor -> files in node_modules.
const files = {
  htmx: ["htmx.org/dist/htmx.min.js"],
  ace: ace([
    "ace", "ext-language_tools", "ext-searchbox",
    "mode-python", "mode-javascript", "mode-sh", "mode-json", "mode-text",
    ...aceThemes.map((name) => `theme-${name}`),
  ]),
  "ace/css": [
    "ace-builds/css/ace.css",
    ...list("ace-builds/css", (name) => name.startsWith("main-") || aceThemes.some((t) => name.startsWith(`${t}-`))),
  ],
  "ace/css/theme": aceThemes.map((name) => `ace-builds/css/theme/${name}.css`),
  xterm: [
    "@xterm/xterm/lib/xterm.mjs", "@xterm/xterm/css/xterm.css", "@xterm/addon-fit/lib/addon-fit.mjs", "@xterm/addon-search/lib/addon-search.mjs",
  ],
  fonts: [
    "@fontsource-variable/inter/files/inter-latin-wght-normal.woff2",
    "@fontsource/jetbrains-mono/files/jetbrains-mono-latin-400-normal.woff2",
  ],
};

function list(folder, wanted) {
  return readdirSync(join(modules, folder)).filter(wanted).map((name) => `${folder}/${name}`);
}

// "@scope/name/dist/x.js" and "name/dist/x.js" -> the package's own folder.
function packageOf(file) {
  return file.split("/").slice(0, file.startsWith("@") ? 2 : 1).join("/");
}

function copy(from, to) {
  if (!existsSync(from)) {
    console.error(`error: ${from} is missing: the package no longer has it; correct setup/vendor.mjs`);
    process.exit(1);
  }
  mkdirSync(dirname(to), { recursive: true });
  cpSync(from, to);
}

rmSync(vendor, { recursive: true, force: true });
for (const [folder, sources] of Object.entries(files)) {
  for (const source of sources) {
    copy(join(modules, source), join(vendor, folder, basename(source)));
    const name = packageOf(source);
    copy(join(modules, name, "LICENSE"), join(vendor, "licenses", `${name.replace("@", "").replace("/", "-")}.txt`));
  }
}
