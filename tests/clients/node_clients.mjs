// Node's two HTTP clients: fetch (undici), and the http module that most libraries stand on.
// Takes one JSON argument, `{"job", ...}`; prints JSON.
import { createHash } from 'node:crypto';
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

const settings = JSON.parse(process.argv[2]);
const PIECE = 100_000;
const line = Buffer.from('0123456789abcdef\r\n\r\n\0', 'latin1');

const content = (size) => Buffer.alloc(Math.ceil(size / line.length) * line.length, line).subarray(0, size);
const sha256 = (data) => createHash('sha256').update(data).digest('hex');

async function* pieces(body) {
  for (let at = 0; at < body.length; at += PIECE) yield body.subarray(at, at + PIECE);
}

async function byFetch({ method, url, fields, body_bytes, chunked }) {
  const body = body_bytes === null ? undefined : content(body_bytes);
  const response = await fetch(url, {
    method,
    headers: fields,
    body: chunked ? ReadableStream.from(pieces(body)) : body,
    duplex: 'half',
  });
  const data = Buffer.from(await response.arrayBuffer());
  const got = [response.status, response.statusText, [...response.headers]];
  return [...got, data.length, sha256(data)];
}

const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

function byHttp({ method, url, fields, body_bytes, chunked }) {
  return new Promise((resolve, reject) => {
    const body = body_bytes === null ? null : content(body_bytes);
    const headers = Object.fromEntries(fields);
    if (body !== null && !chunked) headers['Content-Length'] = body.length;
    if (chunked) headers['Transfer-Encoding'] = 'chunked';
    if (body?.length) headers.Expect = '100-continue';
    const request = http.request(url, { method, headers, agent });
    request.on('error', reject);
    request.on('response', async (response) => {
      const parts = [];
      for await (const part of response) parts.push(part);
      const data = Buffer.concat(parts);
      const raw = response.rawHeaders;
      const pairs = raw.flatMap((name, index) => (index % 2 ? [] : [[name, raw[index + 1]]]));
      resolve([response.statusCode, response.statusMessage, pairs, data.length, sha256(data)]);
    });
    if (!body?.length) return request.end();
    request.flushHeaders();
    request.on('continue', async () => {
      for await (const piece of pieces(body)) request.write(piece);
      request.end();
    });
  });
}

const jobs = {
  // Each ask, one after the other; an upload that is there from the ask before would change an answer.
  async asks() {
    const answers = [];
    for (const ask of settings.asks) answers.push(await { fetch: byFetch, http: byHttp }[settings.client](ask));
    agent.destroy();
    return answers;
  },
  // Each event lets the next one go.
  async ticks() {
    const events = [];
    const response = await fetch(`${settings.url}/mirror/ticks`);
    for await (const event of response.body.pipeThrough(new TextDecoderStream())) {
      events.push(event.trim());
      await (await fetch(`${settings.mirror}/go`)).arrayBuffer();
    }
    return events;
  },
  // Each piece is made once the one before has arrived.
  async upload() {
    async function* paced() {
      for (let count = 0; count < 3; count += 1) {
        const { status } = await fetch(`${settings.mirror}/arrived/${count}`);
        if (status === 200) yield Buffer.from(`piece ${count}`);
      }
    }
    const body = ReadableStream.from(paced());
    return (await fetch(`${settings.url}/mirror/up`, { method: 'POST', body, duplex: 'half' })).json();
  },
  // Leaves after the first event.
  async leave() {
    const leaving = new AbortController();
    const response = await fetch(`${settings.url}/mirror/ticks`, { signal: leaving.signal });
    const first = await response.body.getReader().read();
    leaving.abort();
    await sleep(0);
    return Buffer.from(first.value).toString().trim();
  },
};

console.log(JSON.stringify(await jobs[settings.job]()));
