// Where in the lines of an output the view is.
//
// The place is a line, the first one in view, and how many pixels of it are
// above the view. Lines may be of different heights (wrapped); only those that
// were drawn are known, others are guessed. The bar at the side stands for the
// share of the lines: browsers allow some 17 million pixels, so small movements
// are taken as they are and large ones (dragging the bar) as a share of the
// whole, and the bar is put right when the person has stopped.

const cap = 8_000_000;
const padding = 12;

export class LogScroll {
  at = { n: 0, into: 0 };
  rows = 0;
  #last = 0; // scrollTop as it was seen last
  #tall = 0; // the view's height when it was seen last
  #pin = { n: 0, y: 0 }; // a line and where its top is to be, in pixels from the top of the view
  #atEnd = false;

  // height gives the height of a line, as far as it is known.
  constructor(view, space, rowHeight, height) {
    Object.assign(this, { view, space, rowHeight, height });
  }

  // resize fits the space to the lines; usual is their height on average. In a
  // view of another height the place is found anew.
  resize(rows, usual = this.rowHeight) {
    this.rows = rows;
    this.#fit(usual);
    if (this.view.clientHeight === this.#tall) return;
    this.#tall = this.view.clientHeight;
    this.settle();
    this.bar();
  }

  #fit(usual) {
    const { rows } = this;
    this.whole = rows * usual + padding;
    const end = this.#end();
    if (end.n > 0 || end.into > 0) this.whole = Math.max(this.whole, this.view.clientHeight * 1.5);
    const size = Math.min(this.whole, cap);
    if (size === this.size) return;
    const before = size < this.size ? this.view.scrollTop : 0;
    this.space.style.height = `${size}px`;
    // The bar may have moved by itself, which is nobody's doing.
    if (size < this.size) this.#last += this.view.scrollTop - before;
    this.size = size;
  }

  // The place at which the last line is at the bottom.
  #end() {
    let left = this.view.clientHeight - padding;
    let n = this.rows;
    while (n > 0 && left > 0) left -= this.height(--n);
    return { n, into: Math.max(0, -left) };
  }

  // How many lines are above the view, with the part of the first one.
  #share({ n, into }) {
    return n + (this.rows > 0 ? into / this.height(n) : 0);
  }

  get atEnd() {
    return this.#share(this.at) >= this.#share(this.#end()) - 0.2;
  }

  // moved reads what the person did with the bar, the wheel or a finger; it
  // tells in which direction: below zero is up. A view that has become higher or
  // lower moves its bar by itself, and resize puts that right.
  moved() {
    if (this.view.clientHeight !== this.#tall) return 0;
    const now = this.view.scrollTop;
    const delta = now - this.#last;
    if (delta === 0) return 0;
    this.#last = now;
    const most = this.size - this.view.clientHeight;
    if (now <= 0) this.#go({ n: 0, into: 0 });
    else if (now >= most - 1) this.#go(this.#end());
    else if (Math.abs(delta) < this.view.clientHeight * 2) this.#by(delta);
    else this.#go(this.#placeOf((now / most) * this.#share(this.#end())));
    return delta;
  }

  #placeOf(share) {
    const n = Math.min(Math.floor(share), Math.max(0, this.rows - 1));
    return { n, into: (share - n) * this.height(n) };
  }

  #go(place) {
    this.#pin = { n: place.n, y: -place.into };
    this.#atEnd = false;
    this.settle();
  }

  #by(delta) {
    this.#pin = { n: this.at.n, y: -this.at.into - delta };
    this.#atEnd = false;
    this.settle();
  }

  // settle finds the first line in view again: after a movement, and once the
  // true heights of lines are known. What the person looks at stays in place.
  settle() {
    if (this.#atEnd) {
      this.at = this.#end();
      return;
    }
    let { n, y } = this.#pin;
    n = Math.min(n, Math.max(0, this.rows - 1));
    while (y > 0 && n > 0) y -= this.height(--n);
    while (n < this.rows - 1 && y + this.height(n) <= 0) y += this.height(n++);
    const end = this.#end();
    this.at = { n, into: Math.max(0, -y) };
    if (this.#share(this.at) > this.#share(end)) this.at = end;
  }

  // toLine goes to a line, so many pixels below the top.
  toLine(n, below = 0) {
    this.#pin = { n, y: below };
    this.#atEnd = false;
    this.settle();
    this.bar();
  }

  toEnd() {
    this.#atEnd = true;
    this.settle();
    this.bar();
  }

  // rest puts the bar right, unless it is being moved.
  rest() {
    if (this.view.scrollTop === this.#last) this.bar();
  }

  // bar puts the bar where the place is.
  bar() {
    const most = this.size - this.view.clientHeight;
    const end = this.#share(this.#end());
    this.view.scrollTop = end > 0 ? (this.#share(this.at) / end) * most : 0;
    this.#last = this.view.scrollTop;
  }
}
