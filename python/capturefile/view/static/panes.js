// Shows a record or the metadata as text, as a JSON tree, or in hexadecimal digits.

import { bytes, counted, h } from "./dom.js";
import { part } from "./api.js";

const FIRST = 16 * 1024;
const STEP = 1024 * 1024;
const MAX_BYTES = 8 * 1024 * 1024;
const MAX_LINES = 4096;
const MAX_JSON = 1024 * 1024; // Longer content is parsed only on request.
const BRACKETS = /^\s*[[{]/;
const KINDS = { text: "Text", json: "JSON", hex: "Hex" };
const UNSEEN = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]/;

export class Pane {
  constructor(element) {
    this.element = element;
    this.kind = null; // The selected form; by default JSON if the content is JSON.
  }

  clear(message = "") {
    this.waiting?.abort();
    this.data = null;
    this.element.replaceChildren(h("p", { className: "empty" }, message));
  }

  async show(title, address, link) {
    this.waiting?.abort();
    this.waiting = new AbortController();
    const { signal } = this.waiting;
    Object.assign(this, { title, address, link });
    try {
      const { data, total } = await part(address, 0, FIRST, signal);
      if (signal.aborted) return;
      this.draw(data, total);
      // Part of it is not valid JSON.
      if (this.kind === null && data.length < total && total <= MAX_JSON && BRACKETS.test(decode(data))) await this.whole(data, total);
    } catch (error) {
      if (error.name === "AbortError") return;
      this.data = null;
      this.element.replaceChildren(h("div", { className: "head" }, h("h2", {}, title)), h("p", { className: "problem" }, error.message));
    }
  }

  async whole(data, total) {
    const { signal } = this.waiting;
    const all = new Uint8Array(Math.min(total, MAX_BYTES));
    all.set(data.subarray(0, all.length));
    try {
      for (let at = data.length; at < all.length; at += STEP) {
        all.set((await part(this.address, at, Math.min(STEP, all.length - at), signal)).data, at);
      }
      this.draw(all, total);
    } catch (error) {
      if (error.name !== "AbortError") this.element.append(h("p", { className: "problem" }, error.message));
    }
  }

  choose(kind) {
    this.kind = kind;
    if (this.data) this.draw(this.data, this.total);
  }

  draw(data, total) {
    Object.assign(this, { data, total });
    const shown = this.kind ?? (data.length === total && isJson(data) ? "json" : "text");
    const tab = (kind) =>
      h("button", { role: "tab", "aria-selected": String(kind === shown), onclick: () => this.choose(kind) }, KINDS[kind]);
    const copy = h("button", { title: "Copy the content as shown", onclick: () => this.copy(copy) }, "Copy");
    const head = h("div", { className: "head" },
      h("h2", {}, this.title), h("span", { className: "quiet" }, counted(total, "byte")),
      h("span", { className: "stretch" }),
      h("div", { className: "segments", role: "tablist", "aria-label": "Shown as" }, Object.keys(KINDS).map(tab)),
      h("div", { className: "together" }, copy,
        this.link ? h("a", { className: "button", href: this.link, title: "The address of this record" }, "Link") : null,
        h("a", { className: "button", href: `api/${this.address}/download`, download: "" }, "Download")));
    this.body = h("div", { className: `body ${shown}`, tabIndex: 0, "aria-label": this.title }, this[shown](data, total));
    this.element.replaceChildren(head, this.body, this.rest(data, total));
  }

  rest(data, total) {
    if (data.length >= total) return "";
    const shown = `The first ${bytes(data.length)} of ${bytes(total)}.`;
    if (data.length >= MAX_BYTES) return h("p", { className: "quiet rest" }, `${shown} Download it to see the rest.`);
    const more = h("button", { onclick: () => this.whole(data, total) }, total > MAX_BYTES ? `Show ${bytes(MAX_BYTES)}` : "Show all");
    return h("p", { className: "quiet rest" }, shown, " ", more);
  }

  async copy(button) {
    const text = this.body.classList.contains("hex") ? this.body.textContent : decode(this.data);
    // Without encryption, browsers allow access to the clipboard only to pages from the same machine.
    const copied = await navigator.clipboard?.writeText(text).then(() => true, () => false);
    button.textContent = copied ? "Copied" : "Not allowed";
    setTimeout(() => (button.textContent = "Copy"), 1200);
  }

  text(data) {
    const isText = isUtf8(data, data.length < this.total);
    return [isText ? null : h("p", { className: "problem" }, "Not UTF-8: invalid bytes are shown as �"),
      h("pre", { dir: "ltr" }, visible(decode(data)))];
  }

  json(data, total) {
    if (data.length < total) return h("p", { className: "quiet" }, "Part of a record is not valid JSON; show all of it first.");
    try {
      return h("div", { className: "tree" }, tree(null, JSON.parse(decode(data), exact), 0));
    } catch (error) {
      return h("p", { className: "quiet" }, "This is not valid JSON: ", visible(error.message));
    }
  }

  hex(data) {
    const lines = [];
    for (let at = 0; at < data.length && lines.length < MAX_LINES; at += 16) lines.push(hexLine(data, at));
    const cut = data.length > 16 * MAX_LINES ? h("p", { className: "quiet" }, `The first ${bytes(16 * MAX_LINES)}; download it to see the rest.`) : null;
    return [h("pre", {}, lines.join("\n")), cut];
  }
}

const decode = (data) => new TextDecoder("utf-8", { ignoreBOM: true }).decode(data);

// Returns whether it is an object or an array; text that could be a JSON number counts as text.
function isJson(data) {
  const text = decode(data);
  if (data.length > MAX_JSON || !BRACKETS.test(text)) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function isUtf8(data, isCut) {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(data, { stream: isCut });
    return true;
  } catch {
    return false;
  }
}

// Keeps numbers as they are in the text, if the browser provides it; otherwise large ones would be rounded.
const exact = (key, value, context) =>
  typeof value === "number" && context?.source && String(value) !== context.source ? new Exact(context.source) : value;

class Exact {
  constructor(source) {
    this.source = source;
  }
}

// Returns the text with a mark instead of each character that is invisible, or changes the direction of the text.
export function visible(text) {
  const whole = document.createDocumentFragment();
  let run = "";
  for (const character of text) {
    if (!UNSEEN.test(character)) {
      run += character;
      continue;
    }
    whole.append(run, h("span", { className: "mark" }, picture(character.codePointAt(0))));
    run = "";
  }
  whole.append(run);
  return whole;
}

function picture(code) {
  if (code < 0x20) return String.fromCodePoint(0x2400 + code);
  return code === 0x7f ? "␡" : `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
}

function hexLine(data, at) {
  const part = data.subarray(at, at + 16);
  const digits = Array.from(part, (byte, index) => byte.toString(16).padStart(2, "0") + (index === 7 ? " " : "")).join(" ");
  const letters = Array.from(part, (byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : "·")).join("");
  return `${at.toString(16).padStart(8, "0")}  ${digits.padEnd(49)}  ${letters}`;
}

// Returns a collapsed tree, whose branches are built only when they are expanded.
function tree(key, value, depth) {
  const name = key === null ? "" : [h("span", { className: "key" }, visible(String(key))), ": "];
  if (value === null || typeof value !== "object" || value instanceof Exact) {
    return h("div", { className: "leaf" }, name, leaf(value));
  }
  const entries = Object.entries(value);
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  const folded = h("details", {}, h("summary", {}, name, `${open} `, h("span", { className: "quiet" }, counted(entries.length, "entry").replace("entrys", "entries")), ` ${close}`));
  let isBuilt = false;
  const build = () => {
    if (!folded.open || isBuilt) return;
    isBuilt = true;
    folded.append(...entries.slice(0, 1000).map(([each, below]) => tree(each, below, depth + 1)));
    if (entries.length > 1000) folded.append(h("p", { className: "quiet" }, `… ${entries.length - 1000} more`));
  };
  folded.addEventListener("toggle", build);
  folded.open = depth < 2;
  build();
  return folded;
}

function leaf(value) {
  if (value instanceof Exact) return h("span", { className: "figure" }, value.source);
  if (typeof value === "string") return h("span", { className: "string" }, '"', visible(value), '"');
  return h("span", { className: "figure" }, String(value));
}
