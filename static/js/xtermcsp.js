// Lets xterm.js work where the content policy allows no inline styles. It writes
// <style> elements and style attributes, which are blocked; the same rules as
// constructed style sheets, and through the CSSOM, are not. Loaded before it.
const create = Document.prototype.createElement;

Document.prototype.createElement = function (name, options) {
  if (String(name).toLowerCase() !== "style") return create.call(this, name, options);
  const element = create.call(this, "template");
  const sheet = new CSSStyleSheet();
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
  Object.defineProperty(element, "textContent", { set: (text) => sheet.replaceSync(text), get: () => "" });
  element.remove = () => {
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((other) => other !== sheet);
    Element.prototype.remove.call(element);
  };
  return element;
};

const set = Element.prototype.setAttribute;

Element.prototype.setAttribute = function (name, value) {
  if (name === "style") this.style.cssText = value;
  else set.call(this, name, value);
};
