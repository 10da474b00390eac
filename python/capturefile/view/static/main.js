// The page: selection of the file and the view, keys, and updates when the file grows.
//
// The fragment of the address determines what is shown, so that each record has a link.

import { $, counted, grouped, h } from "./dom.js";
import { json } from "./api.js";
import { NOTHING, VIEWS, format, parse } from "./address.js";
import { Columns, Fields } from "./fields.js";
import { List } from "./list.js";
import { Live } from "./live.js";
import { Pane } from "./panes.js";
import { Search } from "./search.js";
import { Split } from "./split.js";
import { Structure } from "./structure.js";
import { Timeline } from "./timeline.js";
import { Values } from "./values.js";

const at = { file: -1, view: "records", number: null, tail: false, fields: [], time: "", query: NOTHING };
let state = null; // The last state of the file that the server sent.
let shown = null; // The state of the file that the page shows.
let paused = false;
let isLog = []; // For each file, whether it is a rotated log, which has no structure.

const base = () => `files/${at.file}`;
const record = new Pane($("record"));
const metadata = new Pane($("metadata"));
const list = new List($("list"), (number) => go({ number }));
const settings = () => ({ query: search.query, time: at.time, fields: at.fields });
const search = new Search({ open: (number) => go({ view: "records", number }), started: () => searched(), settings });
const fields = new Fields();
const panels = {
  columns: new Columns($("columns"), fields, (names) => {
    go({ fields: names });
    if (!$("found").hidden) search.run(false);
  }),
  timeline: new Timeline($("timeline"), fields, {
    query: settings,
    choose: (time) => go({ time }),
    brushed: (range, first) => {
      search.within(range);
      if (first !== undefined) go({ number: BigInt(first) });
    },
  }),
  values: new Values($("values"), fields, { query: settings, narrow: (condition) => search.narrow(condition) }),
};
const structure = new Structure($("structure"), (number) => go({ view: "records", number }));
const live = new Live(receive, lamp);

// Changes what is shown; `number` is a BigInt. Going to a number ends following.
function go(change) {
  const to = { ...at, ...(change.number === undefined ? {} : { tail: false }), ...change };
  const address = format(to);
  if (address !== location.hash) history[change.view || change.file !== undefined ? "pushState" : "replaceState"](null, "", address);
  show(to);
}

const fromAddress = () => parse(location.hash, (file) => [...$("file").options].some((option) => option.value === file));

function show(to) {
  if (to.view === "structure" && isLog[to.file]) to = { ...to, view: "records" };
  $("tab-structure").hidden = Boolean(isLog[to.file]);
  const isOther = to.file !== at.file;
  const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);
  const queryChanged = !same(to.query, at.query);
  const numberChanged = isOther || to.number !== at.number;
  Object.assign(at, to);
  if (isOther) openFile();
  $("tail").setAttribute("aria-pressed", String(at.tail));
  list.sticks = at.tail;
  list.columns(at.fields, $("heads"));
  // Text that was typed but not searched for yet remains.
  if (queryChanged && !same(search.query, at.query)) search.restore(at.query);
  else if (isOther && !same(at.query, NOTHING)) search.run(false);
  for (const view of VIEWS) {
    $(view).hidden = view !== at.view;
    $(`tab-${view}`).setAttribute("aria-selected", String(view === at.view));
    $(`tab-${view}`).tabIndex = view === at.view ? 0 : -1;
  }
  if (at.view === "records") {
    list.resized();
    if (at.tail) follow();
    else if (numberChanged || list.chosen !== at.number) showRecord();
  } else if (at.view === "structure") structure.show(at.number);
  else metadata.show("Metadata", `${base()}/metadata`);
}

function showRecord() {
  const first = BigInt(shown?.first ?? 1);
  if (at.number === null && list.count >= first) return go({ number: first });
  if (at.number === null) return record.clear("There are no records yet.");
  if (list.count > 0n) list.select(at.number, false);
  record.show(`Record ${grouped(at.number)}`, `${base()}/records/${at.number}`, format({ ...at, tail: false }));
}

// Shows the last record, and scrolls the list to its end.
function follow() {
  if (list.count === 0n) return;
  list.move(list.lowest);
  if (at.number === list.count && list.chosen === at.number) return;
  at.number = list.count;
  showRecord();
}

function searched() {
  go({ query: search.query });
  if (!$("timeline").hidden) panels.timeline.searched();
  if (!$("values").hidden) panels.values.count();
}

function panel(name) {
  const hidden = !$(name).hidden;
  $(name).hidden = hidden;
  $(`show-${name}`).setAttribute("aria-expanded", String(!hidden));
  if (hidden) panels[name].cancel?.();
  else panels[name].show(at.fields);
}

function openFile() {
  $("file").value = String(at.file);
  document.title = `${$("file").selectedOptions[0]?.textContent ?? ""} · capturefile`;
  state = shown = null;
  list.reset(base());
  search.reset(base());
  fields.reset(base());
  panels.timeline.reset(base());
  panels.values.reset(base());
  for (const name in panels) if (!$(name).hidden) panels[name].show(at.fields);
  structure.reset(base());
  live.follow(base());
}

// Handles a new state of the file from the server.
function receive(now) {
  const before = state;
  state = now;
  if (before) structure.seen(before, now);
  notice(now);
  if (!paused || shown === null) catchUp();
  else badge();
}

function catchUp() {
  const before = shown;
  const isFirst = before === null;
  shown = state;
  $("count").textContent = counted(state.count, "record");
  badge();
  const wasAtEnd = list.grow(BigInt(state.count));
  if (at.tail && at.view === "records") follow();
  if (isFirst) {
    if (at.tail) return;
    if (at.number !== null) list.select(at.number, false);
    else if (at.view === "records") showRecord();
    return;
  }
  if (before.serial === state.serial) return;
  if (wasAtEnd && !at.tail && state.count !== before.count) list.move(list.lowest);
  if (at.view === "structure") structure.show(at.number);
  if (at.view === "metadata") metadata.show("Metadata", `${base()}/metadata`);
  flash(BigInt(state.count) - BigInt(before.count));
}

function flash(added) {
  if (added <= 0n) return;
  $("count").classList.remove("grown");
  void $("count").offsetWidth; // Restarts the animation.
  $("count").classList.add("grown");
}

// Shows how many records were added while the page is paused.
function badge() {
  const added = state && shown ? BigInt(state.count) - BigInt(shown.count) : 0n;
  $("news").hidden = added === 0n && state?.serial === shown?.serial;
  $("news").textContent = added > 0n ? `+${grouped(added)} new` : "changed";
}

function notice(now) {
  const text = now.replaced ? "The file was replaced or removed. The page shows the old one." : now.error;
  const [words, button] = $("notice").children;
  $("notice").hidden = !text;
  words.textContent = text ?? "";
  button.hidden = !now.replaced;
}

function lamp(kind) {
  $("lamp").className = `lamp ${paused ? "paused" : kind}`;
  $("live").textContent = paused ? "Paused" : kind === "live" ? "Live" : "Connecting …";
  lamp.kind = kind;
}

function pause(on = !paused) {
  paused = on;
  $("pause").setAttribute("aria-pressed", String(paused));
  lamp(lamp.kind ?? "lost");
  if (!paused && state) catchUp();
}

async function reopen() {
  await json(`${base()}/reopen`, { method: "POST" }).catch(() => null);
  openFile();
  go({ number: null, tail: at.tail });
  showRecord();
}

function theme() {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const now = document.documentElement.dataset.theme ?? (dark ? "dark" : "light");
  document.documentElement.dataset.theme = now === "dark" ? "light" : "dark";
}

function goToNumber(event) {
  event.preventDefault();
  const text = $("number").value.replace(/[\s,_.']/g, "");
  const isNumber = /^-?[0-9]{1,20}$/.test(text) && BigInt(text) !== 0n;
  $("number").setCustomValidity(isNumber ? "" : "A record number, such as 1 or, from the end, -1");
  $("number").reportValidity();
  if (!isNumber) return;
  const number = BigInt(text);
  const counted = number < 0n ? list.count + 1n + number : number;
  go({ number: counted < 1n ? 1n : counted > list.count && list.count > 0n ? list.count : counted });
  $("list").focus();
}

const KEYS = {
  g: () => $("number").select(),
  "/": () => $("text").select(),
  p: () => pause(),
  f: () => go({ view: "records", tail: !at.tail }),
  c: () => panel("columns"),
  l: () => panel("timeline"),
  v: () => panel("values"),
  "?": () => $("keys").showModal(),
  1: () => go({ view: "records" }),
  2: () => go({ view: "structure" }),
  3: () => go({ view: "metadata" }),
  t: () => pane().choose("text"),
  o: () => pane().choose("json"),
  x: () => pane().choose("hex"),
};
const pane = () => (at.view === "metadata" ? metadata : record);

function key(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || $("keys").open) return;
  if (event.target.closest("input, select, textarea")) {
    if (event.key === "Escape") $("list").focus();
    return;
  }
  if (KEYS[event.key]) {
    event.preventDefault();
    if ("g/clv".includes(event.key)) go({ view: "records" });
    KEYS[event.key]();
  } else if (at.view === "records" && event.target === document.body) list.key(event);
}

function tabKey(event) {
  const by = { ArrowRight: 1, ArrowLeft: VIEWS.length - 1 }[event.key];
  if (!by) return;
  const view = VIEWS[(VIEWS.indexOf(at.view) + by) % VIEWS.length];
  go({ view });
  $(`tab-${view}`).focus();
}

async function start() {
  const { files } = await json("files");
  isLog = files.map((file) => !file.jobs.includes("blocks"));
  $("file").append(...files.map((file, index) => h("option", { value: String(index), title: file.path }, file.name)));
  for (const view of VIEWS) $(`tab-${view}`).addEventListener("click", () => go({ view }));
  document.querySelector("nav").addEventListener("keydown", tabKey);
  $("file").addEventListener("change", () => go({ file: Number($("file").value), number: null, tail: at.tail, fields: [], time: "" }));
  $("tail").addEventListener("click", () => go({ tail: !at.tail }));
  for (const name in panels) $(`show-${name}`).addEventListener("click", () => panel(name));
  list.moved = () => at.tail && !list.isAtEnd && go({ tail: false });
  new Split($("split"));
  $("pause").addEventListener("click", () => pause());
  $("news").addEventListener("click", () => catchUp());
  $("notice").querySelector("button").addEventListener("click", reopen);
  $("theme").addEventListener("click", theme);
  $("help").addEventListener("click", () => $("keys").showModal());
  $("go").addEventListener("submit", goToNumber);
  $("number").addEventListener("input", () => $("number").setCustomValidity(""));
  document.addEventListener("keydown", key);
  addEventListener("popstate", () => show(fromAddress()));
  addEventListener("hashchange", () => show(fromAddress()));
  show(fromAddress());
  $("list").focus();
}

start().catch((error) => notice({ error: error.message }));
