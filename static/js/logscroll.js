// Scrolling over more lines than an element can be high. Browsers stop at some
// 17 million pixels; above the cap, small movements are taken as they are and
// large ones (dragging the bar) as a share of the whole.

const cap = 8_000_000;

export class LogScroll {
  top = 0; // of the view, in pixels of all lines
  #last = 0;

  constructor(view, space, rowHeight) {
    Object.assign(this, { view, space, rowHeight });
  }

  // resize fits the space to the number of rows; it returns whether the view
  // was at the end before.
  resize(rows) {
    const padding = 12;
    this.whole = rows * this.rowHeight + padding;
    const height = Math.min(this.whole, cap);
    if (height !== this.height) {
      this.height = height;
      this.space.style.height = `${height}px`;
    }
    this.top = Math.min(this.top, this.#most());
  }

  #most() {
    return Math.max(0, this.whole - this.view.clientHeight);
  }

  // moved reads what the person did; it returns by how much the view moved.
  moved() {
    const now = this.view.scrollTop;
    const delta = now - this.#last;
    if (delta === 0) return 0;
    this.#last = now;
    const before = this.top;
    const end = this.height - this.view.clientHeight;
    if (this.whole <= this.height) this.top = now;
    else if (now <= 0) this.top = 0;
    else if (now >= end - 1) this.top = this.#most();
    else if (Math.abs(delta) < this.view.clientHeight * 2) this.top = Math.min(Math.max(0, this.top + delta), this.#most());
    else this.top = (now / end) * this.#most();
    return this.top - before;
  }

  // to goes to a place, in pixels of all lines.
  to(top) {
    this.top = Math.min(Math.max(0, top), this.#most());
    const end = this.height - this.view.clientHeight;
    const at = this.whole <= this.height ? this.top : (this.top / Math.max(1, this.#most())) * end;
    this.view.scrollTop = at;
    this.#last = this.view.scrollTop;
  }

  toEnd() {
    this.to(this.#most());
  }

  get atEnd() {
    return this.top >= this.#most() - 4;
  }
}
