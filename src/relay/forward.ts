import type { IncomingMessage, OutgoingHttpHeaders } from "node:http";
import { bytes, type Reply, type ReplyHeaders } from "../http/reply.ts";
import type { Request } from "../http/request.ts";
import { findObject, type JsonObject } from "../oci/json.ts";
import type { Bridge, RelayDeps } from "./deps.ts";

/** Of the request, beside who sent it. */
const PASSED_ON = ["accept", "content-type", "goldseal-order", "goldseal-break-glass", "if-none-match"];
/** Of the answer. */
const PASSED_BACK = ["content-type", "etag", "link", "retry-after", "cache-control"];
const MAX_PROBLEM_BYTES = 64 * 1024;

/** @throws the protocol's not found, where no bridge is known here; ProblemError bridge-away, bridge-silent */
export async function forward(
  { bridge, notFound }: Pick<RelayDeps, "bridge" | "notFound">,
  request: Request,
  body?: Uint8Array,
): Promise<IncomingMessage> {
  if (bridge === undefined) throw notFound();
  const query = new URLSearchParams([...new Set(request.queryNames)].flatMap((name) => valuesOf(request, name)));
  return bridge.client.ask({
    // What a HEAD is answered is made of the GET.
    method: request.method === "HEAD" ? "GET" : request.method,
    path: `${request.path}${query.size > 0 ? `?${query}` : ""}`,
    headers: headersOf(request, bridge),
    body,
  });
}

const valuesOf = (request: Request, name: string): [string, string][] =>
  request.queryAll(name).map((value) => [name, value]);

function headersOf(request: Request, { secret }: Bridge): OutgoingHttpHeaders {
  const given = PASSED_ON.flatMap((name) => {
    const value = request.header(name);
    return value === undefined ? [] : [[name, value]];
  });
  const who = secret === undefined ? {} : { "goldseal-user": request.actor.name, "goldseal-relay": secret };
  return { ...Object.fromEntries(given), ...who, "x-request-id": request.id };
}

export function headersBack({ headers }: IncomingMessage): ReplyHeaders {
  return Object.fromEntries(
    PASSED_BACK.flatMap((name) => {
      const value = headers[name];
      return typeof value === "string" ? [[name, value]] : [];
    }),
  );
}

export interface Problem {
  readonly status: number;
  readonly code: string;
  readonly detail: string;
}

/** What the bridge says when it does not do it. @throws Error for an answer that breaks off */
export async function readProblem(incoming: IncomingMessage): Promise<Problem> {
  const status = incoming.statusCode ?? 502;
  const said = findObject(await readShort(incoming)) ?? {};
  return { status, code: textOf(said, "code") ?? "bridge", detail: textOf(said, "detail") ?? "it does not say why" };
}

/** As all of REST has it. @see RFC 9457 */
export function problemReply({ status, code, detail }: Problem, headers: ReplyHeaders, decision?: string): Reply {
  const more = decision === undefined ? {} : { decision };
  const problem = { type: "about:blank", title: code.replaceAll("-", " "), status, code, detail, ...more };
  return bytes(status, "application/problem+json", Buffer.from(JSON.stringify(problem)), headers);
}

function textOf(object: JsonObject, name: string): string | undefined {
  const value = object[name];
  return typeof value === "string" ? value : undefined;
}

async function readShort(incoming: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of incoming) {
    size += piece.length;
    if (size > MAX_PROBLEM_BYTES) throw new Error("the bridge sent a problem of more than 64 KiB");
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}
