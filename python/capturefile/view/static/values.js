// The most frequent values of a field in the results of the search, or in all records; a click narrows the search.

import { counted, grouped, h } from "./dom.js";
import { job } from "./api.js";
import { parameters } from "./address.js";

export class Values {
  constructor(element, fields, { query, narrow }) {
    Object.assign(this, { element, fields, query, narrow });
    this.select = h("select");
    this.select.addEventListener("change", () => this.count());
    this.status = h("output", { className: "quiet" });
    this.whole = h("button", { hidden: true, onclick: () => this.count(true) }, "Count all records");
    this.stop = h("button", { hidden: true, onclick: () => this.cancel() }, "Cancel");
    this.list = h("ol", { className: "values" });
    element.replaceChildren(h("div", { className: "bar" }, h("label", {}, "Values of ", this.select), this.status, this.whole, this.stop), this.list);
  }

  reset(base) {
    this.base = base;
    this.cancel();
    this.select.replaceChildren();
    this.list.replaceChildren();
    this.status.textContent = "";
  }

  cancel() {
    this.running?.abort();
    this.running = null;
    this.stop.hidden = true;
  }

  async show() {
    try {
      if (!this.select.options.length) {
        this.status.textContent = "Looking for fields …";
        const { fields } = await this.fields.ask();
        const names = fields.map(({ name }) => name);
        this.select.replaceChildren(...names.map((name) => h("option", { value: name }, name)));
        // Values of times are rarely useful.
        this.select.value = fields.find(({ is_time }) => !is_time)?.name ?? names[0] ?? "";
      }
      if (this.select.value) await this.count();
      else this.status.textContent = "The examined records are not JSON objects.";
    } catch (error) {
      if (error.name !== "AbortError") this.status.textContent = error.message;
    }
  }

  async count(whole = false) {
    this.cancel();
    const running = new AbortController();
    this.running = running;
    const { query, time } = this.query();
    const given = parameters(query, time);
    given.set("field", this.select.value);
    if (whole) given.set("whole", "");
    this.status.textContent = "Counting …";
    this.whole.hidden = true;
    this.stop.hidden = false;
    try {
      await job(`${this.base}/jobs/values?${given}`, (line) => this.running === running && this.line(line), running.signal);
    } catch (error) {
      // If another count has started, the text belongs to that one.
      const isLast = this.running === running || this.running === null;
      if (isLast) this.status.textContent = error.name === "AbortError" ? "Cancelled" : error.message;
    }
    if (this.running === running) this.cancel();
  }

  line({ progress, done, error }) {
    if (progress) this.status.textContent = `Counting … ${Number((BigInt(progress.at) * 100n) / BigInt(progress.of))} %`;
    if (error) this.status.textContent = error;
    if (done) this.draw(done);
  }

  draw(done) {
    this.status.textContent = summary(done);
    this.whole.hidden = done.is_whole;
    const most = Math.max(1, ...done.values.map(({ count }) => count));
    this.list.replaceChildren(...done.values.map((value) => this.row(value, most, done.found)));
  }

  row({ text, count, is, is_not: isNot }, most, found) {
    const share = found ? (100 * count) / found : 0;
    const percent = share > 0 && share < 0.1 ? "< 0.1 %" : `${share.toFixed(1)} %`;
    const inside = [
      h("span", { className: "text", dir: "ltr", title: text }, text || "(empty)"),
      h("span", { className: "size" }, grouped(count)), h("span", { className: "size share" }, percent),
    ];
    const bar = is
      ? h("button", { className: "value", title: `Search where ${is}`, onclick: () => this.narrow(is) }, inside)
      : h("span", { className: "value" }, inside);
    bar.style.setProperty("--share", `${(100 * count) / most}%`);
    const not = isNot ? h("button", { className: "not", title: `Search where ${isNot}`, "aria-label": `Not ${text}`, onclick: () => this.narrow(isNot) }, "≠") : null;
    return h("li", {}, bar, not);
  }
}

function summary({ found, looked, count, is_whole: isWhole, is_cut: isCut, distinct, missing, others, unreadable }) {
  const parts = [isWhole ? `of ${counted(found, "record")}` : `of a sample: ${grouped(found)} found in ${grouped(looked)} of ${counted(count, "record")}`];
  parts.push(`${isCut ? "at least " : ""}${counted(distinct, "value")}`);
  if (others) parts.push(`${grouped(others)} with other values`);
  if (missing) parts.push(`${grouped(missing)} without the field`);
  if (unreadable) parts.push(`${grouped(unreadable)} could not be read`);
  return parts.join(", ");
}
