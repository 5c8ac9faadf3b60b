import { once } from "node:events";
import { chmod, mkdir, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { dirname } from "node:path";
import { describeError, type Log } from "../../http/log.ts";
import { isJsonObject, type Json, parseJson } from "../../oci/json.ts";
import { isAnswered } from "../local-socket.ts";
import { NOTE_HEADER } from "./allow-note.ts";
import type { AskedCall, Gate } from "./gate.ts";

export interface PlugInOptions {
  /** `/run/docker/plugins/NAME.sock` */
  readonly socket: string;
  readonly gate: Pick<Gate, "judge">;
  readonly log: Log;
  /** An engine waits for ever; whoever has not asked to the end by then is denied. Default 5 s. */
  readonly patienceMs?: number;
}

export interface RunningPlugIn {
  stop(): Promise<void>;
}

type Answer = { readonly Implements: readonly string[] } | { readonly Allow: boolean; readonly Msg?: string };

/** A megabyte of body in base64, and what stands around it. */
const MAX_ASK_BYTES = 4 * 1024 * 1024;
const PATIENCE_MS = 5_000;
const FAILED: Answer = { Allow: false, Msg: "the plug-in could not judge it" };

/**
 * Listens where the engine looks for a plug-in. It always answers, and what it cannot read it denies.
 * @throws Error where another one listens already
 * @see Docker Engine plug-in API, "Authorization"
 */
export async function startPlugIn({
  socket,
  gate,
  log,
  patienceMs = PATIENCE_MS,
}: PlugInOptions): Promise<RunningPlugIn> {
  await mkdir(dirname(socket), { recursive: true });
  if (await isAnswered(socket)) throw new Error(`another plug-in listens on ${socket} already`);
  await rm(socket, { force: true });
  // The engine keeps its connection and believes that it lives.
  const limits = {
    keepAliveTimeout: 0,
    requestTimeout: patienceMs,
    headersTimeout: patienceMs,
    connectionsCheckingInterval: patienceMs / 10,
  };
  const server = createServer(limits);
  server.on("request", (request, response) => {
    answer(request, { gate, log }).then(
      (text) => send(response, text),
      (error: unknown) => {
        log.error("authz.failed", describeError(error));
        send(response, FAILED);
      },
    );
  });
  server.listen(socket);
  await once(server, "listening");
  await chmod(socket, 0o600);
  return { stop: () => stop(server) };
}

async function answer(request: IncomingMessage, { gate, log }: Pick<PlugInOptions, "gate" | "log">): Promise<Answer> {
  const bytes = await readAsk(request);
  if (request.url === "/Plugin.Activate") return { Implements: ["authz"] };
  // Asked when it was done already: to deny it would only hide the answer.
  if (request.url === "/AuthZPlugin.AuthZRes") return { Allow: true };
  if (request.url !== "/AuthZPlugin.AuthZReq") return FAILED;
  const call = toCall(parseJson(bytes));
  const denial = gate.judge(call);
  if (denial === undefined) return { Allow: true };
  log.warn("authz.denied", { method: call.method, uri: call.uri.slice(0, 500), reason: denial });
  return { Allow: false, Msg: denial };
}

/** @throws Error for what is no question of an engine's */
function toCall(value: Json): AskedCall {
  if (!isJsonObject(value)) throw new Error("the engine asked about nothing");
  const { RequestMethod: method, RequestUri: uri, RequestHeaders: headers, RequestBody: body } = value;
  if (typeof method !== "string" || typeof uri !== "string") throw new Error("the engine named no method and path");
  const note = isJsonObject(headers) ? headers[NOTE_HEADER] : undefined;
  return {
    ...{ method, uri, note: typeof note === "string" ? note : undefined },
    body: typeof body === "string" && body !== "" ? Buffer.from(body, "base64") : undefined,
  };
}

async function readAsk(request: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of request) {
    size += piece.length;
    // Read to its end all the same: whoever is still sending would not hear the answer.
    if (size <= MAX_ASK_BYTES) pieces.push(piece);
  }
  if (size > MAX_ASK_BYTES) throw new Error("the engine asked with more than 4 MiB");
  return Buffer.concat(pieces);
}

function send(response: ServerResponse, what: Answer): void {
  const body = JSON.stringify(what);
  response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(body) }).end(body);
}

async function stop(server: Server): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve));
  server.closeAllConnections();
  await closed;
}
