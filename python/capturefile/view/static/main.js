// The page: which file and which view are shown, keys, and what goes on when the file grows.
//
// The part of the address behind # says what is shown (#file/view/number), so that each record has a link.

import { $, counted, grouped, h } from "./dom.js";
import { json } from "./api.js";
import { List } from "./list.js";
import { Live } from "./live.js";
import { Pane } from "./panes.js";
import { Search } from "./search.js";
import { Structure } from "./structure.js";

const VIEWS = ["records", "structure", "metadata"];
const at = { file: -1, view: "records", number: null };
let state = null; // The last state of the file that the server sent.
let shown = null; // Of the file, as far as the page shows it.
let paused = false;
let isLog = []; // By file: a rotated log has no structure of its own.

const base = () => `files/${at.file}`;
const record = new Pane($("record"));
const metadata = new Pane($("metadata"));
const list = new List($("list"), (number) => go({ number }));
const search = new Search((number) => go({ view: "records", number }));
const structure = new Structure($("structure"), (number) => go({ view: "records", number }));
const live = new Live(receive, lamp);

const link = ({ file, view, number }) => `#${file}/${view}${number === null ? "" : `/${number}`}`;

// Shows something else; `number` is a BigInt.
function go(change) {
  const to = { ...at, ...change };
  if (link(to) !== location.hash) history[change.view || change.file !== undefined ? "pushState" : "replaceState"](null, "", link(to));
  show(to);
}

function fromAddress() {
  const [file, view, number] = location.hash.slice(1).split("/");
  const known = [...$("file").options].some((option) => option.value === file);
  return { file: known ? Number(file) : 0, view: VIEWS.includes(view) ? view : "records", number: /^[1-9]\d{0,19}$/.test(number ?? "") ? BigInt(number) : null };
}

function show(to) {
  if (to.view === "structure" && isLog[to.file]) to = { ...to, view: "records" };
  $("tab-structure").hidden = Boolean(isLog[to.file]);
  const isOther = to.file !== at.file;
  const numberChanged = isOther || to.number !== at.number;
  Object.assign(at, to);
  if (isOther) openFile();
  for (const view of VIEWS) {
    $(view).hidden = view !== at.view;
    $(`tab-${view}`).setAttribute("aria-selected", String(view === at.view));
    $(`tab-${view}`).tabIndex = view === at.view ? 0 : -1;
  }
  if (at.view === "records") {
    list.resized();
    if (numberChanged || list.chosen !== at.number) showRecord();
  } else if (at.view === "structure") structure.show(at.number);
  else metadata.show("Metadata", `${base()}/metadata`);
}

function showRecord() {
  const first = BigInt(shown?.first ?? 1);
  if (at.number === null && list.count >= first) return go({ number: first });
  if (at.number === null) return record.clear("There is no record yet.");
  if (list.count > 0n) list.select(at.number, false);
  record.show(`Record ${grouped(at.number)}`, `${base()}/records/${at.number}`, link(at));
}

function openFile() {
  $("file").value = String(at.file);
  document.title = `${$("file").selectedOptions[0]?.textContent ?? ""} · capturefile`;
  state = shown = null;
  list.reset(base());
  search.reset(base());
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
  if (isFirst) {
    if (at.number !== null) list.select(at.number, false);
    else if (at.view === "records") showRecord();
    return;
  }
  if (before.serial === state.serial) return;
  if (wasAtEnd && state.count !== before.count) list.move(list.lowest);
  if (at.view === "structure") structure.show(at.number);
  if (at.view === "metadata") metadata.show("Metadata", `${base()}/metadata`);
  flash(BigInt(state.count) - BigInt(before.count));
}

function flash(added) {
  if (added <= 0n) return;
  $("count").classList.remove("grown");
  void $("count").offsetWidth; // Starts the animation anew.
  $("count").classList.add("grown");
}

// Shows what has come while the page is paused.
function badge() {
  const added = state && shown ? BigInt(state.count) - BigInt(shown.count) : 0n;
  $("news").hidden = added === 0n && state?.serial === shown?.serial;
  $("news").textContent = added > 0n ? `+${grouped(added)} new` : "changed";
}

function notice(now) {
  const text = now.replaced ? "Another file stands under this name now, or none. What is shown is the old one." : now.error;
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
  go({ number: null });
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
    if ("g/".includes(event.key)) go({ view: "records" });
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
  $("file").addEventListener("change", () => go({ file: Number($("file").value), number: null }));
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
