// <cronium-recording src>: plays an asciicast v2 file. Pauses longer than two
// seconds are played as two.
import { newScreen } from "./xterm.js";

const longest = 2;

class CroniumRecording extends HTMLElement {
  async connectedCallback() {
    const place = this.querySelector("[data-screen]");
    this.button = this.querySelector("[data-play]");
    this.slider = this.querySelector("input[type=range]");
    this.clock = this.querySelector("[data-clock]");
    const response = await fetch(this.getAttribute("src"));
    if (!response.ok) {
      this.clock.textContent = "The recording could not be read.";
      return;
    }
    const [first, ...lines] = (await response.text()).trimEnd().split("\n");
    const header = JSON.parse(first);
    Object.assign(this, newScreen(place, { cols: header.width, rows: header.height, disableStdin: true }));
    let last = 0;
    let at = 0;
    this.events = lines.map((line) => {
      const [time, , text] = JSON.parse(line);
      at += Math.min(Math.max(time - last, 0), longest);
      last = time;
      return { at, text };
    });
    this.length = at;
    this.slider.max = at.toFixed(1);
    this.button.addEventListener("click", () => (this.playing ? this.pause() : this.play()));
    this.slider.addEventListener("input", () => this.seek(Number(this.slider.value)));
    const find = this.querySelector("input[type=search]");
    find.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      this.find(find.value, event.shiftKey ? -1 : 1);
    });
    this.button.disabled = false;
    this.seek(0);
    if (find.value) this.find(find.value, 1);
  }

  disconnectedCallback() {
    this.pause();
    this.screen?.dispose();
  }

  seek(at) {
    const playing = this.playing;
    this.pause();
    this.screen.reset();
    this.next = 0;
    this.now = at;
    this.show();
    if (playing) this.play();
  }

  // show writes what was printed until now.
  show() {
    let text = "";
    while (this.next < this.events.length && this.events[this.next].at <= this.now) text += this.events[this.next++].text;
    if (text) this.screen.write(text);
    this.slider.value = this.now;
    this.clock.textContent = `${clock(Math.min(this.now, this.length))} of ${clock(this.length)}`;
  }

  play() {
    if (this.now >= this.length) this.seek(0);
    let before = performance.now();
    this.playing = setInterval(() => {
      const present = performance.now();
      this.now += ((present - before) / 1000) * Number(this.querySelector("select").value);
      before = present;
      this.show();
      if (this.next >= this.events.length) this.pause();
    }, 50);
    this.button.textContent = "Pause";
  }

  pause() {
    clearInterval(this.playing);
    this.playing = undefined;
    if (this.button) this.button.textContent = "Play";
  }

  // find goes to the next or the last moment at which the text was printed.
  find(text, step) {
    if (!text) return;
    const wanted = text.toLowerCase();
    for (let i = step > 0 ? this.next : this.next - 2; i >= 0 && i < this.events.length; i += step) {
      if (this.events[i].text.toLowerCase().includes(wanted)) {
        this.seek(this.events[i].at);
        this.search.findPrevious(text);
        return;
      }
    }
    this.clock.textContent = `No more “${text}”`;
  }
}

const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

customElements.define("cronium-recording", CroniumRecording);
