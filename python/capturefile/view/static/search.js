// A search, which runs in a separate process until it is done or cancelled; hits are shown as they arrive, in pages.

import { $, counted, grouped, h } from "./dom.js";
import { job } from "./api.js";
import { isNothing, parameters } from "./address.js";
import { stamp } from "./timeline.js";

// Characters with a special meaning in regular expressions.
const MAY_BE_A_PATTERN = /[\\^$.|?*+()[\]{}]/;
const PAGE = 1000;

export class Search {
  // `open` is called with the number of a selected hit, `started` when a search starts or ends; `settings` returns the
  // field with the times, and the columns.
  constructor({ open, started, settings }) {
    Object.assign(this, { open, started, settings });
    this.range = { since: null, until: null };
    $("search").addEventListener("submit", (event) => {
      event.preventDefault();
      this.run();
    });
    $("cancel").addEventListener("click", () => this.cancel());
    $("range").addEventListener("click", () => this.within({ since: null, until: null }));
    $("next").addEventListener("click", () => this.page(this.pages.length, this.behind));
    $("previous").addEventListener("click", () => this.page(this.pages.length - 2, this.pages.at(-2)));
    $("as-pattern").addEventListener("click", () => {
      $("pattern").checked = true;
      this.run();
    });
    $("hits").addEventListener("click", (event) => {
      const hit = event.target.closest("[data-number]");
      if (hit) this.open(BigInt(hit.dataset.number));
    });
  }

  reset(base) {
    this.base = base;
    this.running?.abort();
    this.pages = [];
    $("found").hidden = true;
  }

  get query() {
    return {
      text: $("text").value, pattern: $("pattern").checked, matchCase: $("match-case").checked,
      where: $("where").value.trim(), ...this.range,
    };
  }

  // Fills in the query of an address, and starts the search.
  restore(query) {
    $("text").value = query.text;
    $("pattern").checked = query.pattern;
    $("match-case").checked = query.matchCase;
    $("where").value = query.where;
    this.setRange(query);
    this.run(false);
  }

  setRange({ since, until }) {
    this.range = { since, until };
    const words = [since === null ? "" : `from ${stamp(since)}`, until === null ? "" : `to ${stamp(until)}`].filter(Boolean);
    $("range").hidden = !words.length;
    $("range").firstElementChild.textContent = words.join(" ");
    if (since !== null && until !== null && until - since < 120) $("range").firstElementChild.textContent = `from ${stamp(since, 0.001)} to ${stamp(until, 0.001)}`;
  }

  // Searches in a range of time, or at any time.
  within(range) {
    this.setRange(range);
    this.run();
  }

  // Adds a condition to the search.
  narrow(condition) {
    const before = $("where").value.trim();
    const parts = before ? [/\bor\b|\bif\b/.test(before) ? `(${before})` : before] : [];
    $("where").value = [...parts, condition].join(" and ");
    this.run();
  }

  cancel() {
    if (this.running) {
      this.running.abort();
      this.running = null;
      this.end("Cancelled");
    } else $("found").hidden = true;
  }

  run(isNew = true) {
    if (!this.base) return;
    if (isNothing(this.query)) {
      this.running?.abort();
      this.running = null;
      $("found").hidden = true;
    } else this.page(0, 1n);
    if (isNew) this.started();
  }

  // Shows the page of hits that begins with this record.
  page(index, first) {
    this.pages = [...this.pages.slice(0, index), first];
    this.start(first);
  }

  async start(first) {
    this.running?.abort();
    const running = new AbortController();
    this.running = running;
    this.hits = 0;
    this.searched = this.query;
    this.columns = this.settings().fields.length;
    $("found").hidden = false;
    $("hits").replaceChildren();
    $("hits").scrollTop = 0;
    $("hits").style.setProperty("--columns", this.columns ? "" : "minmax(0, 1fr)");
    $("progress").value = 0;
    for (const id of ["as-pattern", "next", "previous", "exports"]) $(id).hidden = true;
    $("cancel").textContent = "Cancel";
    this.state("Searching");
    const { time, fields } = this.settings();
    const given = parameters(this.searched, time, fields);
    for (const format of ["jsonl", "csv"]) $(`as-${format}`).href = `api/${this.base}/export/${format}?${given}`;
    if (first > 1n) given.set("first", String(first));
    try {
      await job(`${this.base}/jobs/search?${given}`, (line) => this.running === running && this.line(line), running.signal);
    } catch (error) {
      if (error.name !== "AbortError") this.end(error.message);
    }
    if (this.running === running) this.running = null;
  }

  line({ hit, progress, done, error }) {
    if (hit) this.hit(hit);
    if (progress) this.progress(progress);
    if (error) this.end(error);
    if (done) this.done(done);
  }

  done({ at, of, hits, unreadable }) {
    const before = (this.pages.length - 1) * PAGE;
    const lost = unreadable ? `, ${counted(unreadable, "record")} could not be read` : "";
    const isLast = at === of;
    this.behind = BigInt(at) + 1n;
    const text = isLast && !before ? counted(hits, "record")
      : isLast ? `${counted(before + hits, "record")}, of which these are the last ${grouped(hits)}`
      : before ? `records ${grouped(before + 1)} to ${grouped(before + hits)} of those that match, up to record ${grouped(at)}`
      : `the first ${grouped(hits)}, up to record ${grouped(at)}`;
    $("progress").value = 1;
    $("next").hidden = isLast;
    $("previous").hidden = this.pages.length < 2;
    $("exports").hidden = before + hits === 0;
    this.end(`Found ${text}${lost}`);
    $("as-pattern").hidden = this.hits > 0 || $("pattern").checked || !MAY_BE_A_PATTERN.test($("text").value);
  }

  hit({ number, text: [before, found, behind], fields }) {
    this.hits += 1;
    const cells = fields ? fields.map((field) => h("span", { className: "text", dir: "ltr" }, field ?? ""))
      : h("span", { className: "text whole", dir: "ltr" }, before, found ? h("mark", {}, found) : null, behind);
    const button = h("button", {}, h("span", { className: "number" }, grouped(number)), h("span", { className: "fields" }, cells));
    button.dataset.number = number;
    $("hits").append(h("li", {}, button));
  }

  progress({ first, at, of }) {
    const [from, to] = [BigInt(first), BigInt(of)];
    $("progress").value = Number(((BigInt(at) - from) * 10_000n) / (to >= from ? to - from + 1n : 1n)) / 10_000;
    this.state(`${grouped(at)} of ${grouped(of)}, ${grouped(this.hits)} found`);
  }

  state(text) {
    $("search-status").textContent = text;
  }

  end(text) {
    this.state(text);
    $("cancel").textContent = "Close";
  }
}
