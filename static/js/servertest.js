// <cronium-server-test url> is around the form of a server over SSH: its button
// tries the connection with what is typed, and shows each step as it comes.
// What was typed stays in the form.
customElements.define("cronium-server-test", class extends HTMLElement {
  connectedCallback() {
    this.form = this.querySelector("form");
    this.steps = this.querySelector("#test-steps");
    this.button = this.querySelector("[data-test]");
    if (!this.button) return;
    this.button.hidden = false;
    this.button.onclick = () => this.run();
    // With its key confirmed the test goes on.
    this.steps.addEventListener("change", ({ target }) => target.name === "host_key" && target.checked && this.run());
  }

  disconnectedCallback() {
    this.abort?.abort();
  }

  async run() {
    this.abort?.abort();
    const { signal } = this.abort = new AbortController();
    this.button.disabled = true;
    try {
      const body = new URLSearchParams(new FormData(this.form));
      const answer = await fetch(this.getAttribute("url"), { method: "POST", body, signal });
      if (answer.ok) await this.show(answer.body);
      else this.refuse(await answer.json());
    } catch (error) {
      if (!signal.aborted) this.refuse({ detail: "The test was cut off. Try again." });
    }
    if (!signal.aborted) this.button.disabled = false;
  }

  // Each line is the whole of the steps so far.
  async show(stream) {
    let rest = "";
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop();
      const last = lines.filter(Boolean).pop();
      if (last) await window.htmx.swap({ text: JSON.parse(last), sourceElement: this.steps, target: this.steps, swap: "innerHTML" });
    }
  }

  refuse({ detail, fields = [] }) {
    const list = document.createElement("div");
    list.className = "body";
    for (const text of fields.length ? fields.map((f) => `${f.field.replaceAll("_", " ")} ${f.message}.`) : [detail]) {
      const line = document.createElement("p");
      line.className = "bad small";
      line.textContent = text[0].toUpperCase() + text.slice(1);
      list.append(line);
    }
    this.steps.replaceChildren(list);
  }
});
