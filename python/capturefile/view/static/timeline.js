// The records over time, as bars. Dragging over them, or the arrow keys with Shift, select a range of time for the
// search.

import { counted, grouped, h, svg } from "./dom.js";
import { job } from "./api.js";
import { parameters } from "./address.js";

const HEIGHT = 80;
const LABELS = 5;

export class Timeline {
  constructor(element, fields, { query, choose, brushed }) {
    Object.assign(this, { element, fields, query, choose, brushed });
    this.select = h("select");
    this.select.addEventListener("change", () => {
      this.zoom = null;
      this.choose(this.select.value);
      this.count();
    });
    this.status = h("output", { className: "quiet" });
    this.into = h("button", { hidden: true, onclick: () => this.look(this.selection()) }, "Zoom in");
    this.outOf = h("button", { hidden: true, onclick: () => this.look(null) }, "Zoom out");
    this.chart = svg("svg", { preserveAspectRatio: "none", class: "bars times", role: "group", "aria-label": "Records over time" });
    this.ticks = h("div", { className: "ticks", ariaHidden: "true" });
    this.words = h("p", { className: "quiet words", role: "status" }, "\u00a0");
    this.chart.addEventListener("pointerdown", (event) => this.press(event));
    this.chart.addEventListener("pointermove", (event) => this.drag(event));
    this.chart.addEventListener("pointerup", (event) => this.release(event));
    this.chart.addEventListener("pointercancel", () => { this.pressed = null; });
    this.chart.addEventListener("keydown", (event) => this.key(event));
    element.replaceChildren(
      h("div", { className: "bar" }, h("label", {}, "Time ", this.select), this.status, h("span", { className: "stretch" }), this.into, this.outOf),
      this.chart, this.ticks, this.words);
  }

  reset(base) {
    this.base = base;
    this.cancel();
    this.zoom = null;
    this.shown = null;
    this.select.replaceChildren();
    this.status.textContent = "";
    this.draw();
  }

  cancel() {
    this.running?.abort();
    this.running = null;
  }

  async show() {
    try {
      if (!this.select.options.length) {
        this.status.textContent = "Looking for times …";
        await this.offer();
      }
      if (this.select.options.length) await this.count();
      else this.status.textContent = "The file has no commit times, and its records have no field with times.";
    } catch (error) {
      if (error.name !== "AbortError") this.status.textContent = error.message;
    }
  }

  // Offers commit times, and fields that look like times.
  async offer() {
    const { fields, commit_times: hasCommits } = await this.fields.ask();
    const wanted = this.query().time;
    const names = fields.filter(({ is_time }) => is_time).map(({ name }) => name);
    if (wanted && !names.includes(wanted)) names.push(wanted);
    this.select.replaceChildren(
      ...(hasCommits ? [h("option", { value: "" }, "of commits")] : []),
      ...names.map((name) => h("option", { value: name }, `field ${name}`)));
    this.select.value = wanted || (hasCommits ? "" : names[0] ?? "");
    if (this.select.options.length && this.select.value !== wanted) this.choose(this.select.value);
  }

  async count() {
    this.running?.abort();
    const running = new AbortController();
    this.running = running;
    const { query } = this.query();
    this.counted = keyOf(query);
    this.status.textContent = "Counting …";
    try {
      const given = parameters({ ...query, since: null, until: null, ...this.zoom }, this.select.value);
      await job(`${this.base}/jobs/timeline?${given}`, (line) => this.running === running && this.line(line), running.signal);
    } catch (error) {
      if (error.name !== "AbortError" && this.running === running) this.status.textContent = error.message;
    }
  }

  // Counts again if the text or the condition has changed; a new range of time is only marked.
  searched() {
    if (this.select.options.length && keyOf(this.query().query) !== this.counted) this.count();
    else this.mark();
  }

  line({ progress, done, error }) {
    if (progress) this.status.textContent = `Counting … ${Number((BigInt(progress.at) * 100n) / BigInt(progress.of))} %`;
    if (error) this.status.textContent = error;
    if (!done) return;
    this.shown = done;
    this.status.textContent = summary(done);
    this.draw();
  }

  look(zoom) {
    this.zoom = zoom;
    this.count();
  }

  draw() {
    const { counts = [], start, width } = this.shown ?? {};
    const most = Math.max(1, ...counts);
    this.chart.toggleAttribute("hidden", !counts.length);
    this.ticks.hidden = !counts.length;
    this.chart.setAttribute("viewBox", `0 0 ${Math.max(1, counts.length)} ${HEIGHT}`);
    this.marked = svg("rect", { y: 0, width: 0, height: HEIGHT, class: "marked" });
    this.bars = counts.map((count, index) => {
      const height = count ? Math.max(1.5, (count / most) * (HEIGHT - 2)) : 0;
      const label = `${this.name(index, index)}: ${counted(count, "record")}`;
      const area = svg("rect", { x: index, y: 0, width: 1, height: HEIGHT, class: "area", role: "button", tabindex: index ? -1 : 0, "aria-label": label });
      for (const event of ["focus", "pointerenter"]) area.addEventListener(event, () => { this.words.textContent = label; });
      return [area, svg("rect", { x: index + 0.06, y: HEIGHT - height, width: 0.88, height, class: "count" })];
    });
    this.chart.replaceChildren(this.marked, ...this.bars.map(([, bar]) => bar), ...this.bars.map(([area]) => area));
    this.words.textContent = "\u00a0";
    this.ticks.replaceChildren(...this.labels());
    this.mark();
  }

  // The times below some of the bars, so that the last label has enough space.
  labels() {
    const { counts = [], start, width } = this.shown ?? {};
    const step = Math.max(1, Math.ceil(counts.length / LABELS));
    return counts.flatMap((_, index) => {
      const share = index / counts.length;
      if (index % step || share > 0.87) return [];
      const label = h("span", {}, stamp(start + index * width, width));
      label.style.left = `${100 * share}%`;
      return [label];
    });
  }

  // Returns the times of bars as text.
  name(from, to) {
    const { start, width } = this.shown;
    return `${stamp(start + from * width, width)} to ${stamp(start + (to + 1) * width, width)}`;
  }

  // Returns the range of the search; its ends may be open.
  selection() {
    const { since, until } = this.query().query;
    return since === null && until === null ? null : { since, until };
  }

  // Marks the range that the user is selecting, or otherwise that of the search.
  mark(from = null, to = null) {
    const { counts = [], start, width } = this.shown ?? {};
    const range = this.selection();
    this.into.hidden = !range || !counts.length;
    this.outOf.hidden = !this.zoom;
    if (!this.marked || !counts.length) return;
    const place = (time, other) => (time === null ? other : Math.min(counts.length, Math.max(0, (time - start) / width)));
    const [left, right] = from !== null ? [Math.min(from, to), Math.max(from, to) + 1]
      : range ? [place(range.since, 0), place(range.until, counts.length)] : [0, 0];
    this.marked.setAttribute("x", left);
    this.marked.setAttribute("width", Math.max(0, right - left));
  }

  apply(from, to) {
    const { start, width, firsts } = this.shown;
    const [left, right] = [Math.min(from, to), Math.max(from, to)];
    this.anchor = null;
    this.brushed({ since: rounded(start + left * width), until: rounded(start + (right + 1) * width) }, firsts[left]);
  }

  index(event) {
    const box = this.chart.getBoundingClientRect();
    const at = Math.floor(((event.clientX - box.left) / box.width) * this.shown.counts.length);
    return Math.min(this.shown.counts.length - 1, Math.max(0, at));
  }

  press(event) {
    if (event.button !== 0 || !this.shown?.counts.length) return;
    event.preventDefault();
    this.chart.setPointerCapture(event.pointerId);
    this.pressed = this.index(event);
    this.mark(this.pressed, this.pressed);
  }

  drag(event) {
    if (!this.shown?.counts.length) return;
    const at = this.index(event);
    if (this.pressed === null || this.pressed === undefined) return;
    this.mark(this.pressed, at);
    this.words.textContent = this.sum(this.pressed, at);
  }

  release(event) {
    if (this.pressed === null || this.pressed === undefined) return;
    const from = this.pressed;
    this.pressed = null;
    this.apply(from, this.index(event));
  }

  sum(from, to) {
    const [left, right] = [Math.min(from, to), Math.max(from, to)];
    const count = this.shown.counts.slice(left, right + 1).reduce((sum, each) => sum + each, 0);
    return `${this.name(left, right)}: ${counted(count, "record")}`;
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.shown?.counts.length) return;
    const at = this.bars.findIndex(([area]) => area === document.activeElement);
    const last = this.bars.length - 1;
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: last }[event.key];
    if (event.key === "Enter" || event.key === " ") this.apply(this.anchor ?? at, at);
    else if (event.key === "Escape") this.brushed({ since: null, until: null });
    else if (to === undefined || at < 0) return;
    else this.step(at, Math.min(last, Math.max(0, to)), event.shiftKey);
    event.preventDefault();
    event.stopPropagation();
  }

  step(from, to, extends_) {
    this.anchor = extends_ ? this.anchor ?? from : null;
    this.bars.forEach(([area], index) => area.setAttribute("tabindex", index === to ? 0 : -1));
    this.bars[to][0].focus();
    if (this.anchor === null) return this.mark();
    this.mark(this.anchor, to);
    this.words.textContent = this.sum(this.anchor, to);
  }
}

const keyOf = ({ text, pattern, matchCase, where }) => JSON.stringify([text, pattern, matchCase, where]);

// Rounds away errors of floating-point additions, which are far below a microsecond.
const rounded = (time) => Math.round(time * 1e6) / 1e6;

const pad = (number, length = 2) => String(number).padStart(length, "0");

// Formats a time in the local time zone, as precisely as the width of the bars requires.
export function stamp(seconds, width = 1) {
  const micros = Math.round(seconds * 1e6);
  const date = new Date(Math.floor(micros / 1e6) * 1000);
  const day = `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
  if (width >= 86_400 && !date.getHours() && !date.getMinutes()) return day;
  const time = `${day} ${pad(date.getHours())}:${pad(date.getMinutes())}`;
  const whole = width >= 60 && !date.getSeconds() ? time : `${time}:${pad(date.getSeconds())}`;
  const digits = width >= 1 ? 0 : Math.min(6, Math.ceil(-Math.log10(width) - 1e-9));
  return digits ? `${whole}.${pad(((micros % 1e6) + 1e6) % 1e6, 6).slice(0, digits)}` : whole;
}

function summary({ looked, count, found, timed, is_whole: isWhole, width, unreadable }) {
  const parts = [isWhole ? counted(timed, "record") : `a sample: ${grouped(timed)} of ${counted(looked, "examined record")}, of ${grouped(count)} in total`];
  if (width) parts.push(`a bar is ${lasting(width)}`);
  if (found > timed) parts.push(`${grouped(found - timed)} without a time`);
  if (unreadable) parts.push(`${grouped(unreadable)} could not be read`);
  return parts.join(", ");
}

function lasting(seconds) {
  const units = [[31_557_600, "year"], [86_400, "day"], [3600, "hour"], [60, "minute"], [1, "second"], [1e-3, "ms"], [0, "µs"]];
  const [size, name] = units.find(([size]) => seconds >= size * 0.999);
  const number = Math.round(seconds / (size || 1e-6));
  return name.endsWith("s") ? `${number} ${name}` : counted(number, name);
}
