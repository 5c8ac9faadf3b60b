/** A proxy before an S3 server that does to chosen requests what networks and servers do on a bad day. */
import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import { pipeline } from "node:stream";

/** What is asked of S3, told by method and query. */
export type Operation = "put" | "part" | "begin" | "complete" | "abort" | "remove" | "list" | "get" | "head";

export interface Exchange {
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
  /** Passes the request on; resolves with the server's answer, its body not yet read. */
  forward(): Promise<IncomingMessage>;
}

export type Act = (exchange: Exchange) => Promise<void>;

export interface Fault {
  readonly operation: Operation;
  readonly act: Act;
  /** So many requests meet it, then all is well; default: all do. */
  readonly times?: number;
}

export interface FaultProxy {
  readonly endpoint: string;
  /** From now on; undefined: all is well. */
  set(fault: Fault | undefined): void;
  /** Requests that met the fault since it was set. */
  readonly met: number;
  close(): Promise<void>;
}

export async function openFaultProxy(target: string): Promise<FaultProxy> {
  let [fault, met]: [Fault | undefined, number] = [undefined, 0];
  const server = createServer((incoming, outgoing) => {
    outgoing.on("error", () => undefined);
    incoming.on("error", () => undefined);
    const exchange = { incoming, outgoing, forward: () => forward(target, incoming) };
    const isMet = fault?.operation === operationOf(incoming) && met < (fault.times ?? Number.POSITIVE_INFINITY);
    if (isMet) met++;
    const act = isMet && fault ? fault.act : passOn;
    act(exchange).catch(() => outgoing.destroy());
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    endpoint: `http://127.0.0.1:${address.port}`,
    set: (next) => {
      [fault, met] = [next, 0];
    },
    get met() {
      return met;
    },
    close: () => {
      const closed = new Promise<void>((done) => server.close(() => done()));
      server.closeAllConnections();
      return closed;
    },
  };
}

function operationOf({ method = "GET", url = "" }: IncomingMessage): Operation {
  const query = new URL(url, "http://s3").searchParams;
  if (method === "PUT") return query.has("partNumber") ? "part" : "put";
  if (method === "POST") return query.has("uploadId") ? "complete" : "begin";
  if (method === "DELETE") return query.has("uploadId") ? "abort" : "remove";
  if (method === "HEAD") return "head";
  return query.has("uploads") || query.has("list-type") ? "list" : "get";
}

/** Under the name it came for: the name is signed. */
function forward(target: string, incoming: IncomingMessage): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const { hostname, port } = new URL(target);
  const { method, url: path, headers } = incoming;
  const outgoing = request({ hostname, port, method, path, headers }).once("response", resolve).once("error", reject);
  pipeline(incoming, outgoing, (error) => void (error && outgoing.destroy()));
  return promise;
}

export const passOn: Act = async ({ outgoing, forward }) => {
  const answer = await forward();
  outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
  pipeline(answer, outgoing, () => undefined);
};

/** The whole request is taken first: an answer before it has ended would be another fault. */
async function drain({ incoming }: Exchange): Promise<void> {
  for await (const _ of incoming);
}

const errorXml = (code: string): string =>
  `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>made by the proxy</Message></Error>`;

/** A refusal in S3's form. */
export const refuse =
  (status: number, code: string): Act =>
  async (exchange) => {
    await drain(exchange);
    exchange.outgoing.writeHead(status, { "content-type": "application/xml" }).end(errorXml(code));
  };

/** Done nothing, and says so with the status of success. */
export const errorInside200: Act = async (exchange) => {
  await drain(exchange);
  exchange.outgoing.writeHead(200, { "content-type": "application/xml" }).end(errorXml("InternalError"));
};

/** The connection is reset after so many bytes of the request. */
export const resetAt =
  (bytes: number): Act =>
  async ({ incoming }) => {
    let taken = 0;
    for await (const piece of incoming) {
      taken += piece.length;
      if (taken >= bytes) break;
    }
    incoming.socket.resetAndDestroy();
  };

export const hang: Act = async () => undefined;

/** The deed is done, its answer comes at 1 B/s; where it has no body, one that never comes to its end. */
export const slow: Act = async ({ outgoing, forward }) => {
  const answer = await forward();
  const pieces: Buffer[] = [];
  for await (const piece of answer) pieces.push(piece);
  const body = Buffer.concat(pieces);
  const length = String(body.length || 100_000);
  outgoing.writeHead(answer.statusCode ?? 502, { ...answer.headers, "content-length": length });
  outgoing.flushHeaders();
  let sent = 0;
  const timer = setInterval(() => outgoing.write(body.length > 0 ? body.subarray(sent, ++sent) : " "), 1000);
  outgoing.once("close", () => clearInterval(timer));
};

/** The deed is done, the answer is not heard. */
export const loseReply: Act = async ({ incoming, forward }) => {
  const answer = await forward();
  for await (const _ of answer);
  incoming.socket.resetAndDestroy();
};

/** The deed is done, and the answer says it failed. */
export const doneBut500: Act = async ({ outgoing, forward }) => {
  const answer = await forward();
  for await (const _ of answer);
  outgoing.writeHead(500, { "content-type": "application/xml" }).end(errorXml("InternalError"));
};

/** The deed is done, the answer ends in the middle. */
export const truncate: Act = async ({ incoming, outgoing, forward }) => {
  const answer = await forward();
  const pieces: Buffer[] = [];
  for await (const piece of answer) pieces.push(piece);
  const body = Buffer.concat(pieces);
  outgoing.writeHead(answer.statusCode ?? 502, { ...answer.headers, "content-length": String(body.length + 10) });
  outgoing.write(body.subarray(0, Math.floor(body.length / 2)), () => incoming.socket.destroy());
};

/** As it should be, but for the ETag. */
export const wrongETag: Act = async ({ outgoing, forward }) => {
  const answer = await forward();
  const etag = `"${"0".repeat(32)}"`;
  outgoing.writeHead(answer.statusCode ?? 502, { ...answer.headers, ...(answer.headers.etag && { etag }) });
  pipeline(answer, outgoing, () => undefined);
};

/** What was true a while ago: no upload is under way. */
export const staleList: Act = async (exchange) => {
  await drain(exchange);
  const empty = "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>";
  exchange.outgoing.writeHead(200, { "content-type": "application/xml" }).end(empty);
};

/** XML that means harm, as an error or as success. */
export const hostileXml =
  (status: number, body: () => Iterable<string>): Act =>
  async (exchange) => {
    await drain(exchange);
    exchange.outgoing.writeHead(status, { "content-type": "application/xml" });
    for (const piece of body()) {
      if (exchange.outgoing.destroyed) return;
      if (!exchange.outgoing.write(piece)) await new Promise((drained) => setImmediate(drained));
    }
    exchange.outgoing.end();
  };

export function* doctypeBomb(): Generator<string> {
  const levels = Array.from({ length: 12 }, (_, i) => `<!ENTITY l${i + 1} "${`&l${i};`.repeat(10)}">`);
  yield `<?xml version="1.0"?><!DOCTYPE Error [<!ENTITY l0 "lol">${levels.join("")}]>`;
  yield "<Error><Code>&l12;</Code><Message>&l12;</Message></Error>";
}

export function* entityFlood(): Generator<string> {
  yield '<?xml version="1.0"?><Error><Code>';
  for (let i = 0; i < 1000; i++) yield "&#65;".repeat(1000);
  yield "</Code></Error>";
}

export function* endlessXml(): Generator<string> {
  yield '<?xml version="1.0"?><Error><Code>';
  for (let i = 0; i < 4096; i++) yield "A".repeat(64 * 1024);
}
