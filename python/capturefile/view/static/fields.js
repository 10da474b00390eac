// The fields of the records, and the selection of those that the list shows as columns.

import { $, h } from "./dom.js";
import { job } from "./api.js";

const MAX_COLUMNS = 20;

// The fields in a file, determined only once.
export class Fields {
  reset(base) {
    this.base = base;
    this.waiting?.abort();
    this.waiting = new AbortController();
    this.found = null;
  }

  // Returns a promise of { fields, commit_times }, which fails if the job fails.
  ask() {
    this.found ??= this.load(this.base, this.waiting.signal).catch((error) => {
      this.found = null;
      throw error;
    });
    return this.found;
  }

  async load(base, signal) {
    let found = null;
    await job(`${base}/jobs/fields`, ({ done, error }) => {
      if (error) throw new Error(error);
      found = done ?? found;
    }, signal);
    return found ?? { fields: [], commit_times: false };
  }
}

// The panel in which columns are selected.
export class Columns {
  constructor(element, fields, choose) {
    Object.assign(this, { element, fields, choose });
    this.chosen = [];
    this.boxes = h("div", { className: "boxes" });
    this.words = h("p", { className: "quiet words", role: "status" });
    this.input = h("input", { size: 20, placeholder: "field, or a.b", autocomplete: "off", spellcheck: false, maxLength: 200 });
    const add = h("form", {}, h("label", {}, "Other ", this.input), h("button", {}, "Add"));
    add.addEventListener("submit", (event) => {
      event.preventDefault();
      for (const name of this.input.value.split(",").map((each) => each.trim()).filter(Boolean)) this.toggle(name, true);
      this.input.value = "";
    });
    const none = h("button", { onclick: () => this.set([]) }, "No columns");
    element.replaceChildren(this.words, this.boxes, h("div", { className: "bar" }, add, none));
  }

  async show(chosen) {
    this.chosen = chosen;
    this.draw([]);
    this.words.textContent = "Looking for fields …";
    try {
      const { fields } = await this.fields.ask();
      this.words.textContent = fields.length ? "Fields of JSON records that the list shows as columns:" : "The examined records are not JSON objects.";
      this.draw(fields);
    } catch (error) {
      if (error.name !== "AbortError") this.words.textContent = error.message;
    }
  }

  draw(fields) {
    this.known = fields;
    const names = [...new Set([...this.chosen, ...fields.map(({ name }) => name)])];
    this.boxes.replaceChildren(...names.map((name) => {
      const box = h("input", { type: "checkbox", checked: this.chosen.includes(name) });
      box.addEventListener("change", () => this.toggle(name, box.checked));
      return h("label", { className: "check" }, box, ` ${name}`);
    }));
  }

  toggle(name, on) {
    const others = this.chosen.filter((each) => each !== name);
    if (on && others.length >= MAX_COLUMNS) return;
    this.set(on ? [...others, name] : others);
  }

  set(names) {
    this.chosen = names;
    const at = [...this.boxes.querySelectorAll("input")].indexOf(document.activeElement);
    const order = [...this.boxes.querySelectorAll("label")].map((label) => label.textContent.trim());
    const shown = [...order, ...names.filter((name) => !order.includes(name))];
    this.draw(this.known);
    // The boxes keep their order while the user clicks them.
    const labels = new Map([...this.boxes.children].map((label) => [label.textContent.trim(), label]));
    this.boxes.replaceChildren(...shown.filter((name) => labels.has(name)).map((name) => labels.get(name)));
    if (at >= 0) this.boxes.querySelectorAll("input")[at]?.focus();
    this.choose(names);
  }
}
