// A search, which goes on in a process of its own until it is done or cancelled; hits are shown as they come.

import { $, counted, grouped, h } from "./dom.js";
import { job } from "./api.js";

// What has a meaning of its own in a regular expression.
const MAY_BE_A_PATTERN = /[\\^$.|?*+()[\]{}]/;

export class Search {
  constructor(open) {
    this.open = open; // Gets the number of a hit that was chosen.
    $("search").addEventListener("submit", (event) => {
      event.preventDefault();
      if ($("text").value && this.base) this.start();
    });
    $("cancel").addEventListener("click", () => this.cancel());
    $("as-pattern").addEventListener("click", () => {
      $("pattern").checked = true;
      this.start();
    });
    $("hits").addEventListener("click", (event) => {
      const hit = event.target.closest("[data-number]");
      if (hit) this.open(BigInt(hit.dataset.number));
    });
  }

  reset(base) {
    this.base = base;
    this.running?.abort();
    $("found").hidden = true;
  }

  cancel() {
    if (this.running) {
      this.running.abort();
      this.running = null;
      this.end("Cancelled");
    } else $("found").hidden = true;
  }

  async start() {
    this.running?.abort();
    const running = new AbortController();
    this.running = running;
    this.hits = 0;
    this.state("Searching");
    $("found").hidden = false;
    $("hits").replaceChildren();
    $("progress").value = 0;
    $("as-pattern").hidden = true;
    $("cancel").textContent = "Cancel";
    const query = new URLSearchParams({ text: $("text").value });
    if ($("pattern").checked) query.set("pattern", "");
    if (!$("match-case").checked) query.set("any_case", "");
    try {
      await job(`${this.base}/jobs/search?${query}`, (line) => this.running === running && this.line(line), running.signal);
    } catch (error) {
      if (error.name !== "AbortError") this.end(error.message);
    }
    if (this.running === running) this.running = null;
  }

  line({ hit, progress, done, error }) {
    if (hit) this.hit(hit);
    if (progress) this.progress(progress);
    if (error) this.end(error);
    if (done) {
      const lost = done.unreadable ? `, ${counted(done.unreadable, "record")} could not be read` : "";
      const more = done.at !== done.of ? `the first ${grouped(done.hits)}, up to record ${grouped(done.at)}` : counted(done.hits, "record");
      $("progress").value = 1;
      this.end(`Found ${more}${lost}`);
      $("as-pattern").hidden = this.hits > 0 || $("pattern").checked || !MAY_BE_A_PATTERN.test($("text").value);
    }
  }

  hit({ number, text: [before, found, behind] }) {
    this.hits += 1;
    const button = h("button", {}, h("span", { className: "number" }, grouped(number)), h("span", { className: "text", dir: "ltr" }, before, h("mark", {}, found), behind));
    button.dataset.number = number;
    $("hits").append(h("li", {}, button));
  }

  progress({ at, of }) {
    $("progress").value = Number((BigInt(at) * 10_000n) / BigInt(of)) / 10_000;
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
