// <cronium-terminal src="/terminals/ID/socket">: one shell. Its connection may
// be cut; it comes back by itself for five minutes, as long as the shell waits.
import { newScreen, copyKeys } from "./xterm.js";

const patience = 5 * 60 * 1000;

class CroniumTerminal extends HTMLElement {
  connectedCallback() {
    if (this.screen) return;
    const place = this.querySelector("[data-screen]");
    Object.assign(this, newScreen(place));
    copyKeys(this.screen);
    const encoder = new TextEncoder();
    this.screen.onData((text) => this.send(encoder.encode(text)));
    this.screen.onBinary((text) => this.send(Uint8Array.from(text, (c) => c.charCodeAt(0))));
    this.screen.onResize(({ cols, rows }) => this.say({ type: "size", columns: cols, rows }));
    this.observer = new ResizeObserver(() => this.offsetParent && this.fit.fit());
    this.observer.observe(place);
    this.querySelector("[data-close]")?.addEventListener("click", () => this.say({ type: "close" }));
    const find = this.querySelector("input[type=search]");
    find?.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      if (event.shiftKey) this.search.findPrevious(find.value);
      else this.search.findNext(find.value);
    });
    this.fit.fit();
    this.connect();
  }

  disconnectedCallback() {
    queueMicrotask(() => {
      if (this.isConnected || !this.screen) return;
      this.over = true;
      clearTimeout(this.retry);
      this.observer.disconnect();
      this.socket?.close();
      this.screen.dispose();
      this.screen = undefined;
    });
  }

  connect() {
    const socket = new WebSocket(new URL(this.getAttribute("src"), location.href.replace(/^http/, "ws")));
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    socket.onmessage = ({ data }) => {
      if (typeof data === "string") this.hear(JSON.parse(data));
      else this.screen?.write(new Uint8Array(data));
    };
    socket.onclose = () => {
      if (this.over || this.socket !== socket) return;
      this.lost ??= Date.now();
      if (Date.now() - this.lost > patience) return this.end("The connection was lost for five minutes, so the shell has ended.");
      this.show("is-warning", this.trouble ? `${this.trouble} Trying again…` : "Reconnecting…");
      this.wait = Math.min((this.wait ?? 250) * 2, 8000);
      this.retry = setTimeout(() => this.connect(), this.wait * (0.5 + Math.random() / 2));
    };
  }

  hear(message) {
    if (message.type === "opened") {
      this.lost = this.wait = this.trouble = undefined;
      this.show("is-success", "Connected");
      this.say({ type: "size", columns: this.screen.cols, rows: this.screen.rows });
      if (this.offsetParent) this.screen.focus();
    } else if (message.type === "doing") {
      this.show("is-waiting", message.text);
    } else if (message.type === "end") {
      this.end(message.text);
    } else if (message.again) {
      this.trouble = message.text; // the connection is closed next
    } else if (message.type === "error") {
      this.end(message.text, "is-failure");
    }
  }

  end(text, state = "is-waiting") {
    this.over = true;
    this.show(state, text);
    this.querySelector("[data-close]")?.setAttribute("disabled", "");
    this.dispatchEvent(new CustomEvent("terminal-end", { bubbles: true }));
  }

  show(state, text) {
    const status = this.querySelector("[data-status]");
    status.className = `badge ${state}`;
    status.textContent = text;
  }

  send(bytes) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(bytes);
  }

  say(message) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }
}

// <cronium-terminals opens="/api/v1/servers/ID/terminals">: terminals side by side as tabs, each made from
// the template in it.
class CroniumTerminals extends HTMLElement {
  connectedCallback() {
    this.list = this.querySelector("[role=tablist]");
    this.addEventListener("click", (event) => {
      const tab = event.target.closest("[role=tab]");
      if (tab) this.choose(tab);
      if (event.target.closest("[data-new]")) this.make();
    });
    this.list.addEventListener("keydown", (event) => this.move(event));
    const open = (this.getAttribute("open") ?? "").split(" ").filter(Boolean);
    open.forEach((id) => this.add(id));
    if (open.length === 0) this.make();
  }

  async make() {
    const button = this.querySelector("[data-new]");
    const said = this.querySelector("[data-said]");
    button.disabled = true;
    said.textContent = "";
    try {
      const response = await fetch(this.getAttribute("opens"), {
        method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ columns: 100, rows: 30 }),
      });
      const answer = await response.json();
      if (!response.ok) throw new Error(answer.detail);
      this.add(answer.id);
    } catch (error) {
      said.textContent = error.message || "The server did not answer. Try again.";
    } finally {
      button.disabled = false;
    }
  }

  add(id) {
    const number = this.list.querySelectorAll("[role=tab]").length + 1;
    const tab = document.createElement("button");
    Object.assign(tab, { type: "button", id: `tab-${id}`, textContent: `Terminal ${number}` });
    tab.setAttribute("role", "tab");
    tab.setAttribute("aria-controls", `panel-${id}`);
    const panel = this.querySelector("template").content.firstElementChild.cloneNode(true);
    panel.id = `panel-${id}`;
    panel.setAttribute("aria-labelledby", tab.id);
    panel.querySelector("cronium-terminal").setAttribute("src", `/terminals/${id}/socket`);
    this.list.append(tab);
    this.append(panel);
    this.choose(tab);
  }

  choose(tab) {
    for (const other of this.list.querySelectorAll("[role=tab]")) {
      const chosen = other === tab;
      other.setAttribute("aria-selected", chosen);
      other.tabIndex = chosen ? 0 : -1;
      this.querySelector(`#${CSS.escape(other.getAttribute("aria-controls"))}`).hidden = !chosen;
    }
    const terminal = this.querySelector("[role=tabpanel]:not([hidden]) cronium-terminal");
    terminal?.fit?.fit();
    terminal?.screen?.focus();
  }

  move(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    const tabs = [...this.list.querySelectorAll("[role=tab]")];
    const next = tabs[(tabs.indexOf(document.activeElement) + step + tabs.length) % tabs.length];
    this.choose(next);
    next.focus();
  }
}

customElements.define("cronium-terminal", CroniumTerminal);
customElements.define("cronium-terminals", CroniumTerminals);
