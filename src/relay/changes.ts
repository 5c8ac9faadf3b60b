import type { IncomingMessage } from "node:http";
import { type ByteStream, bytes, type Reply } from "../http/reply.ts";
import type { Request } from "../http/request.ts";
import type { Handler } from "../http/route.ts";
import { digestOf } from "../oci/digest.ts";
import { findObject, isJsonObject, type JsonObject } from "../oci/json.ts";
import { linesOf } from "../oci/lines.ts";
import type { RelayDeps } from "./deps.ts";
import { forward, headersBack, problemReply, readProblem } from "./forward.ts";

/**
 * An order, to the bridge and back. Whether it is one is for the bridge to say; here it is put on record who sent it, what it
 * asks for, and what came of it.
 */
export function relayChange(deps: RelayDeps, actionOf: (request: Request) => string): Handler {
  return async (request) => {
    const body = await request.body();
    const asked = describe(request, actionOf(request), body);
    request.asked = { asked };
    const incoming = await forward(deps, request, body);
    if (incoming.statusCode !== 200) return refuse(deps, request, { incoming, asked });
    return bytes(200, "application/x-ndjson", tellOn(deps, request, { incoming, asked }), noTypeOf(incoming));
  };
}

interface Exchange {
  readonly incoming: IncomingMessage;
  readonly asked: JsonObject;
}

function describe(request: Request, action: string, body: Uint8Array): JsonObject {
  const name = findObject(body)?.name;
  return {
    action,
    environment: request.query("environment") ?? "",
    ...(typeof name === "string" ? { name } : {}),
    // What is guessed of a secret could be compared with its hash.
    ...(/^(secret|stack)\./.test(action) ? {} : { body: digestOf(body) }),
    ...(request.header("goldseal-break-glass") === undefined ? {} : { breakGlass: true }),
  };
}

/** `prod/web`. */
const targetOf = ({ environment, name }: JsonObject): string => [environment, name].filter(Boolean).join("/");

async function refuse(deps: RelayDeps, request: Request, { incoming, asked }: Exchange): Promise<Reply> {
  const problem = await readProblem(incoming);
  const detail = { ...asked, code: problem.code, message: problem.detail };
  const decision = deps.noteRefused(request, { action: String(asked.action), target: targetOf(asked), detail });
  return problemReply(problem, noTypeOf(incoming), decision);
}

function noTypeOf(incoming: IncomingMessage) {
  const { "content-type": _, ...headers } = headersBack(incoming);
  return headers;
}

/** Line by line; the last one says what came of it, and is put on record whether or not anybody still listens. */
function tellOn(deps: RelayDeps, request: Request, { incoming, asked }: Exchange): ByteStream {
  const lines = recorded(deps, request, { incoming, asked });
  const toEnd = async (): Promise<void> => {
    for await (const _ of lines);
  };
  return {
    length: undefined,
    // A generator that is left early is not ended by it: `close` reads on.
    chunks: () => ({ [Symbol.asyncIterator]: () => ({ next: () => lines.next() }) }),
    close: async () => void toEnd().catch(() => undefined),
  };
}

async function* recorded(deps: RelayDeps, request: Request, { incoming, asked }: Exchange): AsyncGenerator<Uint8Array> {
  const deed = { action: String(asked.action), target: targetOf(asked) };
  let isTold = false;
  try {
    for await (const line of linesOf(incoming)) {
      const said = findObject(line);
      const outcome = said?.outcome;
      if (!isJsonObject(outcome)) {
        yield Buffer.concat([line, END]);
        continue;
      }
      isTold = true;
      const detail = { ...asked, outcome };
      const isRefused = outcome.kind === "refuse";
      if (!isRefused) deps.noteDone(request, { ...deed, detail });
      const refused = { ...deed, detail: { ...detail, message: String(outcome.reason ?? "") } };
      const more = isRefused ? { decision: deps.noteRefused(request, refused) } : {};
      yield Buffer.from(`${JSON.stringify({ ...said, ...more })}\n`);
    }
  } finally {
    if (!isTold) deps.noteDone(request, { ...deed, detail: { ...asked, outcome: "unknown: the bridge broke off" } });
  }
}

const END = Buffer.from("\n");
