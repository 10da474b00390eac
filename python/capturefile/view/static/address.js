// The fragment of the address, after #, which determines what is shown: #file/view/number?options. It makes a link to
// each record and each search possible.

const VIEWS = ["records", "structure", "metadata"];
const TIME = /^-?\d{1,12}(\.\d{1,20})?$/;

export const NOTHING = Object.freeze({ text: "", pattern: false, matchCase: false, where: "", since: null, until: null });

// Returns the parameters of a search for a job; `time` is the field with the times.
export function parameters(query, time, fields = []) {
  const given = new URLSearchParams();
  if (query.text) given.set("text", query.text);
  if (query.pattern) given.set("pattern", "");
  if (!query.matchCase) given.set("any_case", "");
  if (query.where) given.set("where", query.where);
  if (time) given.set("time", time);
  for (const end of ["since", "until"]) if (query[end] !== null) given.set(end, String(query[end]));
  if (fields.length) given.set("fields", fields.join(","));
  return given;
}

export const isNothing = (query) => !query.text && !query.where && query.since === null && query.until === null;

export function format({ file, view, number, tail, fields, time, query }) {
  const options = parameters(query, time, fields);
  options.delete("any_case");
  if (query.text && query.matchCase) options.set("case", "");
  if (tail) options.set("tail", "");
  const text = options.toString().replace(/=(?=&|$)/g, "").replaceAll("%2C", ",");
  return `#${file}/${view}${number === null || tail ? "" : `/${number}`}${text ? `?${text}` : ""}`;
}

// Parses a fragment, and accepts only what the page itself writes there.
export function parse(hash, isFile) {
  const [path, ...rest] = hash.slice(1).split("?");
  const [file, view, number] = path.split("/");
  const options = new URLSearchParams(rest.join("?"));
  const time = (name) => (TIME.test(options.get(name) ?? "") ? Number(options.get(name)) : null);
  return {
    file: isFile(file) ? Number(file) : 0,
    view: VIEWS.includes(view) ? view : "records",
    number: /^[1-9]\d{0,19}$/.test(number ?? "") ? BigInt(number) : null,
    tail: options.has("tail"),
    fields: (options.get("fields") ?? "").split(",").filter(Boolean).slice(0, 20),
    time: options.get("time") ?? "",
    query: {
      text: options.get("text") ?? "",
      pattern: options.has("pattern"),
      matchCase: options.has("case"),
      where: options.get("where") ?? "",
      since: time("since"),
      until: time("until"),
    },
  };
}

export { VIEWS };
