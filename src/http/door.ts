import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import Koa from "koa";
import { ByteBudget } from "../oci/byte-budget.ts";
import { BodyAbortedError } from "./body.ts";
import { type ClientAddressOf, clientAddressBehind } from "./client-address.ts";
import { describeError, type Log } from "./log.ts";
import type { Metrics } from "./metrics.ts";
import type { Network } from "./networks.ts";
import { empty, json, type Reply } from "./reply.ts";
import { Request } from "./request.ts";
import type { Gate, Protocol, Route, Witness } from "./route.ts";
import { Router } from "./router.ts";
import { send } from "./send.ts";

export interface DoorOptions {
  readonly protocols: readonly Protocol[];
  readonly gate: Gate;
  readonly witness: Witness;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Proxies before us that are believed whom they ask for; default: none. */
  readonly trustedProxies?: readonly Network[];
}

export type RequestListener = (message: IncomingMessage, response: ServerResponse) => void;

/** Manifests, which are held whole, share so many bytes: many at once wait in line. */
const heldBodyBytes = 16 * 1024 * 1024;

/** A request whose path belongs to no protocol, or whose first line is not one that a server answers. */
const noRoute: Route = {
  id: "none",
  method: "GET",
  path: "",
  access: { kind: "open" },
  maxBodyBytes: 0,
  handler: async () => empty(404),
};

/**
 * The one door: finds the route, lets the gate judge, runs the handler, turns errors into the protocol's words, sends
 * the answer, writes one log line and the metrics.
 */
export function openDoor({
  protocols,
  gate,
  witness,
  log,
  metrics,
  trustedProxies = [],
}: DoorOptions): RequestListener {
  const entries = protocols.map(toEntry);
  const room = { budget: new ByteBudget(heldBodyBytes), clientAddressOf: clientAddressBehind(trustedProxies) };
  const koa = new Koa();
  koa.on("error", (error: unknown) => {
    if (!isClientGone(error)) log.error("http.unexpected", describeError(error));
  });
  koa.use(async (context) => {
    const started = performance.now();
    const exchange = begin(entries, room, context.req, context.res);
    const reply = await answer(exchange, { gate, witness, log });
    const bytes = await send(context, reply, { requestId: exchange.request.id, log });
    report({ exchange, reply, bytes, started, log, metrics, message: context.req });
  });
  return koa.callback() as RequestListener;
}

/** The connection broke: a client may do that at any time, and the request's own log line says so. */
function isClientGone(error: unknown): boolean {
  return (
    error instanceof Error && "code" in error && /^E(?:CONNRESET|PIPE|CONNABORTED|TIMEDOUT)$/.test(String(error.code))
  );
}

interface Entry {
  readonly protocol: Protocol;
  readonly match: NonNullable<Protocol["match"]>;
}

function toEntry(protocol: Protocol): Entry {
  const router = new Router(protocol);
  return { protocol, match: protocol.match ?? ((method, path) => router.match(method, path)) };
}

interface Exchange {
  readonly protocol: Protocol | undefined;
  readonly request: Request;
  /** Set when no route answers; thrown in place of the handler. */
  readonly refusal: Error | undefined;
}

function begin(
  entries: readonly Entry[],
  { budget, clientAddressOf }: { readonly budget: ByteBudget; readonly clientAddressOf: ClientAddressOf },
  message: IncomingMessage,
  response: ServerResponse,
): Exchange {
  const [path = "", search = ""] = splitTarget(message.url ?? "");
  const entry = entries.find(({ protocol }) => belongs(path, protocol.prefix));
  const badRequest = (text: string): Error => entry?.protocol.badRequest(text) ?? new Error(text);
  const match = entry?.match(message.method ?? "", path) ?? { kind: "not-found" as const };
  const request = new Request({
    id: randomUUID(),
    message,
    clientAddress: clientAddressOf(message),
    response,
    route: match.kind === "route" ? match.route : noRoute,
    path,
    params: match.kind === "route" ? match.params : {},
    query: new URLSearchParams(search),
    budget,
    badRequest,
  });
  const fault = findFault(message, path, request);
  const refusal =
    fault !== undefined
      ? badRequest(fault)
      : match.kind === "route"
        ? undefined
        : match.kind === "method-not-allowed"
          ? entry?.protocol.methodNotAllowed(match.allowed)
          : (entry?.protocol.notFound() ?? undefined);
  return { protocol: entry?.protocol, request, refusal };
}

/**
 * What two readers of one request (a proxy before us, say) could understand in two ways. Undefined: nothing.
 * @see RFC 9112 section 3.2 for Host and the forms of a target; we are no proxy and take a path alone
 */
function findFault(message: IncomingMessage, path: string, request: Request): string | undefined {
  if (message.httpVersionMajor !== 1) return "this is no HTTP/1";
  if (!path.startsWith("/")) return "the target of a request is a path";
  if ((message.headersDistinct.host?.length ?? 0) > 1) return "header Host was sent more than once";
  if (request.hasBracketedQuery) return "query parameters are no arrays: their names have no brackets";
  if (request.route !== noRoute && request.route.maxBodyBytes === 0 && request.hasBody)
    return "this request takes no body";
  return undefined;
}

/** `/v2` itself belongs to `/v2/`. */
function belongs(path: string, prefix: string | RegExp): boolean {
  if (prefix instanceof RegExp) return prefix.test(path);
  return path.startsWith(prefix) || (prefix.endsWith("/") && path === prefix.slice(0, -1));
}

function splitTarget(target: string): [string, string] {
  const question = target.indexOf("?");
  return question < 0 ? [target, ""] : [target.slice(0, question), target.slice(question + 1)];
}

async function answer(
  { protocol, request, refusal }: Exchange,
  { gate, witness, log }: Pick<DoorOptions, "gate" | "witness" | "log">,
): Promise<Reply> {
  try {
    if (protocol === undefined) return json(400, { errors: [{ code: "UNSUPPORTED", message: "bad request target" }] });
    if (refusal !== undefined) throw refusal;
    const { access, handler, lookAhead } = request.route;
    const found = lookAhead?.(request);
    found?.catch(() => undefined); // where the gate refuses, nobody asks what became of it
    await gate(request, access);
    const reply = found === undefined ? await handler(request) : await (await found)();
    await witness.answered(request, reply);
    return reply;
  } catch (thrown) {
    const error = witness.refused(request, thrown);
    const reply = protocol?.errorReply(error, request);
    if (reply !== undefined) return reply;
    if (error instanceof BodyAbortedError) return empty(499);
    log.error("http.failed", { requestId: request.id, route: request.route.id, ...describeError(error) });
    return json(500, { errors: [{ code: "UNKNOWN", message: "internal error", detail: { requestId: request.id } }] });
  }
}

interface Report {
  readonly exchange: Exchange;
  readonly reply: Reply;
  readonly bytes: number;
  readonly started: number;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly message: IncomingMessage;
}

function report({ exchange: { request }, reply, bytes, started, log, metrics, message }: Report): void {
  const seconds = (performance.now() - started) / 1000;
  metrics.observe({
    route: request.route.id,
    method: request.method,
    status: reply.status,
    seconds,
    sent: bytes,
    received: request.bytesRead,
  });
  log.info("http", {
    requestId: request.id,
    actor: request.actor.name,
    remote: request.clientAddress,
    method: request.method,
    path: splitTarget(message.url ?? "")[0].slice(0, 1024),
    route: request.route.id,
    status: reply.status,
    ...request.notes,
    bytes,
    ms: Math.round(seconds * 1e5) / 100,
    // Not `headers`: Node makes each of the two when it is first asked for.
    agent: (message.headersDistinct["user-agent"]?.[0] ?? "").slice(0, 200),
  });
}
