// Requests to the server. Addresses are relative to that of the page, which contains the token.

export class Failure extends Error {}

async function ask(address, options) {
  let answer;
  try {
    answer = await fetch(`api/${address}`, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failure("The server does not answer. Is `capturefile view` still running?");
  }
  if (answer.ok) return answer;
  const body = await answer.json().catch(() => ({}));
  throw new Failure(body.error ?? `${answer.status} ${answer.statusText}`);
}

export const json = async (address, options) => (await ask(address, options)).json();

// Fetches a part of a record or of the metadata, and the total length.
export async function part(address, start, length, signal) {
  const answer = await ask(`${address}?start=${start}&length=${length}`, { signal });
  return { data: new Uint8Array(await answer.arrayBuffer()), total: Number(answer.headers.get("X-Total-Bytes")) };
}

// Runs a job, and calls `each` with every line as it arrives. Aborting the signal also ends the job on the server.
export async function job(address, each, signal) {
  const reader = (await ask(address, { signal })).body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) if (line) each(JSON.parse(line));
  }
}
