// The structure of the file: header, master nodes or heads and log, the path through the index, blocks, sizes, and the
// result of verification.

import { bytes, counted, grouped, h, svg } from "./dom.js";
import { job, json } from "./api.js";

export class Structure {
  constructor(element, open) {
    this.element = element;
    this.open = open; // Shows a record.
    this.commits = [];
  }

  reset(base) {
    this.base = base;
    this.commits = [];
    this.stop();
    this.element.replaceChildren();
    this.shown = false;
  }

  stop() {
    this.waiting?.abort();
    this.waiting = new AbortController();
  }

  // Builds the page when it is first shown; later only draws the parts that a commit changes.
  async show(number) {
    if (!this.shown) {
      this.shown = true;
      this.nodes = h("div", { className: "cards" });
      this.way = h("section", { className: "card wide" });
      this.history = h("section", { className: "card wide" });
      this.element.replaceChildren(this.nodes, this.way, this.history, ...this.jobs());
      this.drawCommits();
    }
    await Promise.all([this.drawNodes(), this.drawWay(number ?? 1n)]);
  }

  jobs() {
    return [
      this.card("Blocks along the file", "Read all blocks", "blocks", drawBlocks(this.open)),
      this.card("Sizes of records", "Count sizes", "sizes", drawSizes),
      this.card("Verification", "Check the whole file", "verify", drawReport(this.open)),
    ];
  }

  card(title, verb, kind, draw) {
    const status = h("output", { className: "quiet" });
    const body = h("div", { className: "plot" });
    const button = h("button", {}, verb);
    let running = null;
    const end = () => {
      running = null;
      button.textContent = verb;
    };
    button.onclick = async () => {
      if (running) {
        running.abort();
        status.textContent = "Cancelled";
        return end();
      }
      running = new AbortController();
      this.waiting.signal.addEventListener("abort", () => running?.abort());
      button.textContent = "Cancel";
      status.textContent = "Reading …";
      body.replaceChildren();
      const findings = [];
      try {
        await job(`${this.base}/jobs/${kind}`, ({ progress, finding, done, error }) => {
          if (progress) status.textContent = `${share(progress)} %`;
          if (finding) findings.push(finding);
          if (error) status.textContent = error;
          if (done) status.textContent = draw(body, done, findings);
        }, running.signal);
      } catch (error) {
        if (error.name !== "AbortError") status.textContent = error.message;
      }
      end();
    };
    return h("section", { className: "card wide" }, h("div", { className: "bar" }, h("h2", {}, title), status, h("span", { className: "stretch" }), button), body);
  }

  async drawNodes() {
    const structure = await json(`${this.base}/structure`).catch((error) => ({ error: error.message, slots: [], heads: [] }));
    const cards = [];
    if (structure.error) cards.push(h("p", { className: "problem" }, structure.error));
    if (structure.header) cards.push(headerCard(structure));
    structure.slots.forEach((slot, index) => cards.push(slotCard(slot, index === structure.current)));
    structure.heads.forEach((head, index) => cards.push(headCard(head, index === structure.current)));
    if (structure.log) cards.push(logCard(structure.log));
    this.nodes.replaceChildren(...cards);
    this.lastCommit = structure.last_commit;
    this.drawCommits();
  }

  async drawWay(number) {
    const found = await json(`${this.base}/way/${number}`).catch((error) => ({ error: error.message, steps: [] }));
    const rows = found.steps.map((step) => this.level(step));
    const caption = "From the last commit down to the record. A cell is a child; the filled one leads to the record.";
    this.way.replaceChildren(h("h2", {}, `Path to record ${grouped(number)}`), h("p", { className: "quiet" }, caption),
      h("div", { className: "levels" }, rows), found.error ? h("p", { className: "problem" }, found.error) : "");
  }

  level(step) {
    if (step.height === 0) {
      if (step.kind !== "record") return holder(step);
      const place = step.pending ? "in the pending block" : `in the block at byte ${grouped(step.at[0])}`;
      return h("div", { className: "level" }, h("span", { className: "what" }, "record"), h("span", { className: "leafcell" }, `${place}, offset ${grouped(step.at[1])}`));
    }
    const sized = step.lasts.length > 0; // Children of format 3 have any number of records.
    const offset = sized ? "" : ` + ${grouped(step.at?.[1] ?? 0)}`;
    const where = step.unfinished ? (sized ? "head or log" : "master node") : `byte ${grouped(step.at[0])}${offset}`;
    const most = Math.min(step.children, 64);
    const cells = Array.from({ length: most }, (_, index) => {
      const before = BigInt(step.first) + BigInt(index) * BigInt(step.below);
      const first = sized && index > 0 ? BigInt(step.lasts[index - 1]) + 1n : before;
      const last = sized ? BigInt(step.lasts[index]) : first + BigInt(step.below) - 1n;
      const label = first === last ? `record ${grouped(first)}` : `records ${grouped(first)} to ${grouped(last)}`;
      return h("button", { className: index === step.chosen ? "cell chosen" : "cell", title: label, "aria-label": label, onclick: () => this.drawWay(first) });
    });
    const passed = step.chosen === null ? h("span", { className: "quiet" }, step.children ? "→ to the right of all these" : "no children yet") : null;
    return h("div", { className: "level" },
      h("span", { className: "what" }, `height ${step.height}`, h("small", {}, where)),
      h("span", { className: "cells" }, cells, step.children > most ? h("span", { className: "quiet" }, `… ${step.children} in all`) : null, passed));
  }

  // The number of records in commits: in the last one according to the file, in later ones while the page is open.
  seen(before, now) {
    if (now.serial === before.serial) return;
    // In format 3, serial numbers are positions in the log.
    const commits = now.format === 3 ? null : (now.serial - before.serial + 2 ** 32) % 2 ** 32;
    this.commits.push({ commits, records: BigInt(now.count) - BigInt(before.count) });
    if (this.commits.length > 120) this.commits.shift();
    if (this.shown) this.drawCommits();
  }

  drawCommits() {
    const last = this.lastCommit == null ? "The number of records in the last commit is unknown." : `The last commit added ${counted(this.lastCommit, "record")}.`;
    const most = this.commits.reduce((most, { records }) => (records > most ? records : most), 1n);
    const bars = this.commits.map(({ commits, records }, index) => {
      const height = Math.max(1, (Number(records) / Number(most)) * 60);
      return bar(index * 8, 64 - height, 6, height, commits ? `${counted(records, "record")} in ${counted(commits, "commit")}` : counted(records, "record"));
    });
    const held = [...this.history.querySelectorAll("rect")].indexOf(document.activeElement);
    const plot = bars.length ? h("div", { className: "plot" }, plotted("Records per commit", "0 0 960 64", bars)) : h("p", { className: "quiet" }, "Commits appear here while this page is open.");
    this.history.replaceChildren(h("h2", {}, "Records per commit"), h("p", {}, last), plot);
    if (held >= 0) bars[held]?.focus();
  }
}

function list(pairs) {
  return h("dl", { className: "facts" }, pairs.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

function headerCard({ header, size }) {
  const checksum = { right: "OK", wrong: "does not match", none: "none, as the format allows" }[header.checksum];
  return h("section", { className: "card" }, h("h2", {}, "Header"), list([
    ["Format", `${header.magic}, version ${header.version}`],
    ["Page", bytes(header.page_size)],
    ["Block", bytes(header.block_size)],
    ["Fan-out", grouped(header.fan_out)],
    ["Checksum", h("span", { className: header.checksum === "wrong" ? "wrong" : "" }, checksum)],
    ["File", bytes(size)],
  ]));
}

function slotCard(slot, isCurrent) {
  const right = slot.stored === slot.computed;
  return h("section", { className: isCurrent ? "card current" : "card" },
    h("div", { className: "bar" }, h("h2", {}, `Master node ${slot.name}`), isCurrent ? h("span", { className: "pill" }, "current") : null),
    list([
      ["Serial", grouped(slot.serial)],
      ["Checksum", h("span", { className: right ? "right" : "wrong" }, right ? `${slot.stored} OK` : `${slot.stored} does not match, computed ${slot.computed}`)],
      ["Records", grouped(slot.records)],
      ["Limit", `byte ${grouped(slot.file_limit)}`],
      ["Pending", bytes(slot.pending)],
      ["Levels", slot.levels.length ? slot.levels.map((count, index) => `${index + 1}: ${count}`).join("   ") : "none"],
      ["Metadata", slot.metadata ? `byte ${grouped(slot.metadata[0])} + ${grouped(slot.metadata[1])}` : "none"],
    ]),
    slot.problem ? h("p", { className: "problem" }, slot.problem) : "");
}

function headCard(head, isCurrent) {
  const facts = [
    ["Serial", grouped(head.serial)],
    ["Records in frames", grouped(head.records)],
    ["Limit", `byte ${grouped(head.file_limit)}`],
    ["Log begins", `at ${grouped(head.begin)}`],
    ["Log on the disk", `up to ${grouped(head.sure)}`],
    ["Levels", head.levels.length ? head.levels.map((count, index) => `${index + 1}: ${count}`).join("   ") : "none"],
    ["Metadata", head.metadata ? `byte ${grouped(head.metadata)}` : "none, or in the log"],
  ];
  return h("section", { className: isCurrent ? "card current" : "card" },
    h("div", { className: "bar" }, h("h2", {}, `Head ${head.name}`), isCurrent ? h("span", { className: "pill" }, "newest") : null),
    head.problem ? h("p", { className: "problem" }, head.problem) : list(facts));
}

function logCard(log) {
  return h("section", { className: "card" }, h("h2", {}, "Log"), list([
    ["Records", grouped(log.records)],
    ["Entries", grouped(log.entries)],
    ["From", grouped(log.begin)],
    ["To", grouped(log.end)],
    ["In use", `${bytes(log.used)} of ${bytes(log.size)}`],
  ]));
}

// Shows the place of the record in format 3: a block or an entry of the log.
function holder(step) {
  const place = step.kind === "block" ? `in the block at byte ${grouped(step.at[0])}` : `in the entry at ${grouped(step.at[0])} of the log`;
  return h("div", { className: "level" }, h("span", { className: "what" }, "record"), h("span", { className: "leafcell" }, `${place}, which begins with record ${grouped(step.first)}`));
}

const share = ({ at, of }) => (BigInt(of) ? Number((BigInt(at) * 1000n) / BigInt(of)) / 10 : 100).toFixed(1);

function bar(x, y, width, height, label, action) {
  const title = svg("title");
  title.textContent = label;
  const role = action ? "button" : "img";
  const rect = svg("rect", { x, y, width: Math.max(width, 0.5), height, role, class: action ? "link" : "", "aria-label": label }, title);
  if (action) rect.addEventListener("click", action);
  return rect;
}

// A plot of bars, and the description of the one under the pointer or with the focus. The Tab key reaches all bars as
// one element, and the arrow keys move between them.
function plotted(label, viewBox, bars) {
  const words = h("p", { className: "quiet words" }, "\u00a0");
  const step = { ArrowLeft: (at) => at - 1, ArrowRight: (at) => at + 1, Home: () => 0, End: () => bars.length - 1 };
  const focus = (index) => {
    for (const bar of bars) bar.setAttribute("tabindex", bar === bars[index] ? 0 : -1);
    bars[index].focus();
  };
  bars.forEach((bar, index) => {
    bar.setAttribute("tabindex", index ? -1 : 0);
    for (const event of ["focus", "pointerenter"]) bar.addEventListener(event, () => { words.textContent = bar.getAttribute("aria-label"); });
    bar.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === "Enter" || event.key === " ") bar.dispatchEvent(new MouseEvent("click"));
      else if (event.key in step) focus(Math.min(bars.length - 1, Math.max(0, step[event.key](index))));
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
  });
  return [svg("svg", { viewBox, preserveAspectRatio: "none", class: "bars", role: "group", "aria-label": label }, ...bars), words];
}

// Describes the number of records in a segment; if the index is damaged, it is unknown for some or all blocks.
function recordsIn({ records, unknown, blocks }) {
  if (!unknown) return counted(records, "record");
  if (unknown === blocks) return "unknown records";
  return `${counted(records, "record")}, and unknown ones in ${counted(unknown, "block")}`;
}

const drawBlocks = (open) => (body, done) => {
  const { segments, limit } = done;
  const start = segments.length ? segments[0].position : 0;
  const scale = 960 / Math.max(1, limit - start);
  const written = segments.filter((segment) => segment.compressed);
  const most = Math.max(1, ...written.map((segment) => segment.size / segment.compressed));
  const dense = Math.max(1, ...written.map((segment) => segment.records / segment.blocks));
  const each = (value) => written.map((segment) => {
    const ratio = segment.size / segment.compressed;
    const label = `byte ${grouped(segment.position)}: ${counted(segment.blocks, "block")}, ${bytes(segment.size)} in ${bytes(segment.compressed)} (${ratio.toFixed(1)} to 1), ${recordsIn(segment)}`;
    const height = Math.max(1, value(segment) * 78);
    return bar((segment.position - start) * scale, 80 - height, segment.compressed * scale - (written.length < 200 ? 1 : 0), height, label, segment.first && (() => open(BigInt(segment.first))));
  });
  const plot = (label, value, top) => [h("p", { className: "quiet" }, `${label}, up to ${top}`),
    ...plotted(label, "0 0 960 80", each(value))];
  if (written.length) {
    body.append(...plot("Compression, on a logarithmic scale", (segment) => Math.log1p(segment.size / segment.compressed) / Math.log1p(most), `${most.toFixed(1)} to 1`),
      ...plot("Records in a block", (segment) => segment.records / segment.blocks / dense, grouped(Math.round(dense))));
  }
  const pending = segments.find((segment) => segment.compressed === null);
  if (pending) body.append(h("p", { className: "quiet" }, `The pending block: ${bytes(pending.size)}, ${recordsIn(pending)}, not compressed yet.`));
  for (const problem of done.problems) body.append(h("p", { className: "problem" }, problem));
  const total = written.reduce((sum, segment) => sum + segment.size, 0);
  const packed = written.reduce((sum, segment) => sum + segment.compressed, 0);
  return `${counted(done.blocks, "block")}${packed ? `, ${bytes(total)} in ${bytes(packed)}, ${(total / packed).toFixed(1)} to 1` : ""}`;
};

function drawSizes(body, done) {
  const last = done.buckets.reduce((last, count, index) => (count ? index : last), 0);
  const most = Math.max(1, ...done.buckets);
  const first = Math.max(0, done.buckets.findIndex((count) => count > 0));
  const rows = done.buckets.slice(first, last + 1).map((count, above) => {
    const index = first + above;
    const meter = h("meter", { max: most, value: count, "aria-label": String(count) });
    return h("div", { className: "size-row" }, h("span", { className: "what" }, sizeRange(index)), meter, h("span", {}, grouped(count)));
  });
  body.append(h("div", { className: "sizes" }, rows));
  const sampled = String(done.looked) === done.count ? "" : `, a sample of ${grouped(done.looked)}`;
  return `${counted(done.count, "record")}${sampled}; the largest has ${bytes(done.largest)}`;
}

function sizeRange(index) {
  if (index === 0) return "empty";
  if (index === 1) return "1 B";
  return `${bytes(2 ** (index - 1))} to ${bytes(2 ** index - 1)}`;
}

const drawReport = (open) => (body, done, findings) => {
  for (const { kind, position, found, expected } of findings) {
    const where = position === null ? "" : ` (byte ${grouped(position)})`;
    const after = kind === "repairable" ? " The next writer repairs this; no earlier commit is lost." : "";
    body.append(h("p", { className: kind === "repairable" ? "note" : "problem" }, `found ${found}, expected ${expected}${where}${after}`));
  }
  for (const [first, last] of done.unreadable) {
    const text = first === last ? `Record ${grouped(first)} cannot be read` : `Records ${grouped(first)} to ${grouped(last)} cannot be read`;
    body.append(h("p", {}, h("button", { onclick: () => open(BigInt(first)) }, text)));
  }
  const looked = `${counted(done.checked, "record")}, ${counted(done.frames, "block")}, ${counted(done.nodes, "index node")}`;
  return done.sound ? `✓ Sound: ${looked}` : `✗ Damaged: ${counted(done.problems, "problem")} in ${looked}`;
};
