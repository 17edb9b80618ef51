// <cronium-upload url> sends chosen files, one after the other, to url and their
// name. XMLHttpRequest tells how much of a file has gone, which fetch does not.
import { say } from "./live.js";

customElements.define("cronium-upload", class extends HTMLElement {
  connectedCallback() {
    [this.chosen, this.replace] = this.querySelectorAll("input");
    this.button = this.querySelector("button");
    this.bar = this.querySelector("progress");
    this.said = this.querySelector("[role=status]");
    this.chosen.onchange = () => (this.button.disabled = this.chosen.files.length === 0);
    this.button.onclick = () => this.send([...this.chosen.files]);
  }

  disconnectedCallback() {
    this.request?.abort();
  }

  async send(files) {
    this.button.disabled = true;
    this.bar.hidden = false;
    try {
      for (const file of files) await this.put(file);
      say(files.length === 1 ? "The file is uploaded." : "The files are uploaded.");
      location.reload();
    } catch (error) {
      this.said.textContent = error.message;
      this.said.className = "bad small";
      this.button.disabled = false;
      this.bar.hidden = true;
    }
  }

  put(file) {
    return new Promise((done, failed) => {
      const request = (this.request = new XMLHttpRequest());
      const fail = () => failed(new Error(`${file.name} was not uploaded: the connection was lost. Try again.`));
      this.said.className = "muted small";
      request.upload.onprogress = ({ loaded, total }) => {
        this.bar.value = total ? loaded / total : 1;
        this.said.textContent = `${file.name}: ${Math.round(this.bar.value * 100)} %`;
      };
      request.onload = () => {
        if (request.status < 300) return done();
        try {
          failed(new Error(JSON.parse(request.responseText).detail));
        } catch {
          fail();
        }
      };
      request.onerror = fail;
      request.open("PUT", this.getAttribute("url") + encodeURIComponent(file.name) + (this.replace.checked ? "&replace=true" : ""));
      request.setRequestHeader("Content-Type", "application/octet-stream");
      request.send(file);
    });
  }
});
