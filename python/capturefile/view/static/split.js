// The line between the list and the record, which can be moved by mouse, touch or keys; its position is remembered.

const LEAST = 15;
const STEP = 2;
const KEY = "capturefile-split";

export class Split {
  constructor(element) {
    this.element = element;
    this.panes = element.parentElement;
    this.narrow = matchMedia("(max-width: 800px)");
    this.narrow.addEventListener("change", () => this.turn());
    element.addEventListener("keydown", (event) => this.key(event));
    element.addEventListener("pointerdown", (event) => this.grab(event));
    element.addEventListener("pointermove", (event) => element.hasPointerCapture(event.pointerId) && this.drag(event));
    element.addEventListener("dblclick", () => this.put(50));
    this.turn();
    this.put(Number(remembered()) || 50);
  }

  turn() {
    this.element.setAttribute("aria-orientation", this.narrow.matches ? "horizontal" : "vertical");
  }

  // Sets the share of the list in the width, in percent.
  put(share) {
    this.share = Math.round(Math.min(100 - LEAST, Math.max(LEAST, share)) * 10) / 10;
    this.panes.style.setProperty("--split", `${this.share}%`);
    this.element.setAttribute("aria-valuenow", String(Math.round(this.share)));
    remember(String(this.share));
  }

  key(event) {
    const by = { ArrowLeft: -STEP, ArrowUp: -STEP, ArrowRight: STEP, ArrowDown: STEP }[event.key];
    const to = { Home: LEAST, End: 100 - LEAST, Enter: 50 }[event.key];
    if (by === undefined && to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    this.put(to ?? this.share + by);
  }

  grab(event) {
    event.preventDefault();
    this.element.focus();
    this.element.setPointerCapture(event.pointerId);
  }

  drag(event) {
    const box = this.panes.getBoundingClientRect();
    this.put(100 * (this.narrow.matches ? (event.clientY - box.top) / box.height : (event.clientX - box.left) / box.width));
  }
}

// Some browsers refuse to store anything.
function remembered() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

function remember(text) {
  try {
    localStorage.setItem(KEY, text);
  } catch {
    // The position is kept only while the page is open.
  }
}
