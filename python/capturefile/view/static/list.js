// A list of up to 2^64 records in an element that a browser can scroll.
//
// Browsers limit elements to about 16 million pixels. If the records need more, the position of the scroll bar is a
// fraction of all records, and a wheel or a key scrolls by rows. The scroll position is a BigInt and a few pixels.

import { bytes, grouped, h } from "./dom.js";
import { json } from "./api.js";

const ROW = 28;
const MAX_PIXELS = 8_000_000;
const PAGE = 100n;
const MAX_PAGES = 40;
const MAX_WIDTH = 32; // Maximum width of a column in characters, except the last.

export class List {
  constructor(element, choose) {
    this.element = element;
    this.spacer = element.querySelector(".spacer");
    this.rows = element.querySelector(".rows");
    this.choose = choose;
    this.sticks = false; // Whether it remains scrolled to its end.
    this.moved = () => {}; // Called when a user has scrolled.
    this.fields = []; // Names of the fields that are columns.
    this.heads = null; // The element for their names.
    this.count = 0n;
    this.top = 0n; // Index of the first visible row.
    this.shift = 0; // Number of pixels of it that are hidden.
    this.chosen = null;
    this.reset("");
    element.addEventListener("scroll", () => this.scrolled());
    element.addEventListener("wheel", (event) => this.wheeled(event), { passive: false });
    element.addEventListener("keydown", (event) => this.key(event));
    element.addEventListener("click", (event) => {
      const row = event.target.closest("[data-number]");
      if (row) this.select(BigInt(row.dataset.number));
    });
    new ResizeObserver(() => this.resized()).observe(element);
  }

  reset(base) {
    this.base = base;
    this.pages = new Map();
    this.widths = [];
    this.stale = new Set(); // Pages with fewer records than now exist.
    this.waiting?.abort();
    this.waiting = new AbortController();
    this.top = 0n;
    this.shift = 0;
    this.chosen = null;
    this.count = 0n;
  }

  // Shows these fields as columns.
  columns(fields, heads) {
    this.heads = heads;
    if (fields.join() === this.fields.join()) return;
    this.fields = fields;
    this.pages = new Map();
    this.waiting?.abort();
    this.waiting = new AbortController();
    this.widths = fields.map((name) => name.length);
    this.draw();
  }

  get isAtEnd() {
    return this.where() >= this.lowest - 2n;
  }

  get height() {
    return this.element.clientHeight;
  }

  get pixels() {
    const wanted = this.count * BigInt(ROW);
    return wanted > BigInt(MAX_PIXELS) ? MAX_PIXELS : Number(wanted);
  }

  get isScaled() {
    return this.count * BigInt(ROW) > BigInt(MAX_PIXELS);
  }

  // The maximum number of pixels above the view, if the element had the full height of all records.
  get lowest() {
    const most = this.count * BigInt(ROW) - BigInt(Math.floor(this.height));
    return most > 0n ? most : 0n;
  }

  grow(count) {
    const wasAtEnd = this.count > 0n && this.isAtEnd;
    const last = this.count;
    this.count = count;
    if (last < count) this.stale.add((last / PAGE).toString());
    if (last > count) this.pages.clear();
    this.resized();
    return wasAtEnd;
  }

  resized() {
    this.spacer.style.height = `${Math.max(this.pixels, 1)}px`;
    this.rows.style.height = `${this.height}px`;
    this.move(this.sticks ? this.lowest : this.where());
  }

  where() {
    return this.top * BigInt(ROW) + BigInt(Math.floor(this.shift));
  }

  // Scrolls to this number of pixels below the first record, and moves the scroll bar accordingly.
  move(pixels) {
    const most = this.lowest;
    const at = pixels < 0n ? 0n : pixels > most ? most : pixels;
    this.top = at / BigInt(ROW);
    this.shift = Number(at % BigInt(ROW));
    const room = this.pixels - this.height;
    const bar = this.isScaled ? Math.round(Number((at * 1_000_000n) / (most || 1n)) / 1_000_000 * room) : Number(at);
    if (Math.abs(this.element.scrollTop - bar) >= 1) {
      this.element.scrollTop = bar;
    }
    this.bar = this.element.scrollTop;
    this.draw();
  }

  scrolled() {
    const bar = this.element.scrollTop;
    if (bar === this.bar) return;
    const by = bar - (this.bar ?? 0);
    this.bar = bar;
    const room = this.pixels - this.height;
    if (!this.isScaled) {
      this.top = BigInt(Math.floor(bar / ROW));
      this.shift = bar % ROW;
      this.draw();
    } else if (Math.abs(by) < this.height && bar > 0 && bar < room - 1) {
      this.move(this.where() + BigInt(Math.round(by)));
    } else {
      // The scroll bar was dragged: its position is the fraction of records above the view.
      const share = BigInt(Math.round((bar / room) * 1_000_000_000));
      const at = bar >= room - 1 ? this.lowest : (this.lowest * share) / 1_000_000_000n;
      this.top = at / BigInt(ROW);
      this.shift = Number(at % BigInt(ROW));
      this.draw();
    }
    this.moved();
  }

  wheeled(event) {
    if (!this.isScaled || event.ctrlKey) return;
    event.preventDefault();
    const unit = event.deltaMode === 1 ? ROW : event.deltaMode === 2 ? this.height : 1;
    this.move(this.where() + BigInt(Math.round(event.deltaY * unit)));
    this.moved();
  }

  key(event) {
    const page = BigInt(Math.max(1, Math.floor(this.height / ROW) - 1));
    const at = this.chosen ?? this.top + 1n;
    const to = {
      ArrowDown: at + 1n, j: at + 1n, ArrowUp: at - 1n, k: at - 1n,
      PageDown: at + page, PageUp: at - page, Home: 1n, End: this.count,
    }[event.key];
    if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.select(to);
  }

  // Selects a record and scrolls it into view.
  select(number, tell = true) {
    if (this.count === 0n) return;
    this.chosen = number < 1n ? 1n : number > this.count ? this.count : number;
    const above = (this.chosen - 1n) * BigInt(ROW);
    const below = above + BigInt(ROW) - BigInt(Math.floor(this.height));
    const at = this.where();
    const far = above < at - 4000n || below > at + 4000n;
    if (far) this.move(above - BigInt(Math.floor(this.height / 3)));
    else if (above < at) this.move(above);
    else if (below > at) this.move(below);
    else this.draw();
    if (tell) this.choose(this.chosen);
  }

  draw() {
    const seen = BigInt(Math.ceil(this.height / ROW) + 1);
    const end = this.top + seen > this.count ? this.count : this.top + seen;
    const digits = grouped(end).length;
    const rows = [];
    for (let index = this.top; index < end; index += 1n) {
      rows.push(this.row(index, Number(index - this.top) * ROW - this.shift, digits));
    }
    this.rows.replaceChildren(...rows);
    if (this.count === 0n && this.base) this.rows.append(h("p", { className: "empty" }, "There are no records."));
    this.element.parentElement.style.setProperty("--digits", `${digits}ch`);
    this.head();
    const chosen = rows.find((row) => row.classList.contains("chosen"));
    if (chosen) this.element.setAttribute("aria-activedescendant", chosen.id);
    else this.element.removeAttribute("aria-activedescendant");
    if (end > this.top) this.fetch(this.top / PAGE, (end - 1n) / PAGE);
  }

  // Writes the names of the columns above them, each as wide as its values.
  head() {
    if (!this.heads) return;
    this.heads.hidden = !this.fields.length;
    const last = this.fields.length - 1;
    const tracks = this.widths.map((width, index) => (index === last ? "minmax(8ch, 1fr)" : `minmax(0, ${Math.min(MAX_WIDTH, width) + 1}ch)`));
    this.element.closest("section").style.setProperty("--columns", tracks.join(" "));
    const names = this.fields.join();
    if (this.heads.dataset.names === names) return;
    this.heads.dataset.names = names;
    this.heads.replaceChildren(h("span", { className: "number" }, "#"),
      h("span", { className: "fields" }, this.fields.map((name) => h("span", { className: "text", title: name }, name))),
      h("span", { className: "size" }, "size"));
  }

  // Returns the fields of a record as cells; missing ones are empty.
  cells(fields) {
    fields.forEach((text, index) => {
      if (text && text.length > (this.widths[index] ?? 0)) this.widths[index] = text.length;
    });
    return h("span", { className: "fields" }, fields.map((text) => h("span", { className: "text", dir: "ltr", title: text ?? "" }, text ?? "")));
  }

  row(index, y) {
    const number = index + 1n;
    const found = this.pages.get((index / PAGE).toString())?.[Number(index % PAGE)];
    const chosen = number === this.chosen;
    const row = h("div", { className: "row", id: `row-${number}`, role: "option", "aria-selected": String(chosen) },
      h("span", { className: "number" }, grouped(number)));
    row.dataset.number = number;
    row.style.transform = `translateY(${y}px)`;
    if (chosen) row.classList.add("chosen");
    if (!found) row.classList.add("waiting");
    else if (found.error) {
      row.classList.add("bad");
      row.append(h("span", { className: "text" }, `⚠ ${found.error}`));
    } else {
      row.append(found.fields ? this.cells(found.fields) : h("span", { className: "text", dir: "ltr" }, found.text || "(empty)"));
      if (!found.utf8) row.append(h("span", { className: "tag" }, "binary"));
      row.append(h("span", { className: "size" }, bytes(found.size)));
    }
    return row;
  }

  // Fetches visible pages that have not been requested yet.
  fetch(from, to) {
    for (let page = from; page <= to; page += 1n) {
      const key = page.toString();
      const isStale = this.stale.delete(key);
      if (this.pages.has(key) && !isStale) continue;
      if (!isStale) this.pages.set(key, null);
      this.load(key, page, this.waiting.signal);
    }
  }

  async load(key, page, signal) {
    // While the user drags the scroll bar, most pages are visible only for a moment.
    await new Promise((done) => setTimeout(done, 40));
    if (signal.aborted) return;
    const [from, to] = [this.top / PAGE, (this.top + BigInt(Math.ceil(this.height / ROW))) / PAGE];
    if (page < from || page > to) {
      this.pages.delete(key);
      return;
    }
    try {
      const fields = this.fields.length ? `&fields=${encodeURIComponent(this.fields.join(","))}` : "";
      const answer = await json(`${this.base}/records?first=${page * PAGE + 1n}&count=${PAGE}${fields}`, { signal });
      // Of two responses for a growing page, the longer one is the later one.
      if ((this.pages.get(key)?.length ?? 0) <= answer.records.length) this.pages.set(key, answer.records);
      while (this.pages.size > MAX_PAGES) this.pages.delete(this.pages.keys().next().value);
    } catch (error) {
      if (error.name === "AbortError") return;
      this.pages.delete(key);
      return;
    }
    this.draw();
  }
}
