import { BodyTooLargeError } from "../http/body.ts";
import { type ByteStream, bytes, empty, json, type Reply } from "../http/reply.ts";
import type { Request } from "../http/request.ts";
import { type Protocol, type Route, route } from "../http/route.ts";
import type { Bridge } from "./bridge.ts";
import type { Outcome } from "./deployer.ts";
import type { RefusalCode } from "./errors.ts";

/** What the listener needs of the bridge. */
export type BridgeDoor = Pick<Bridge, "deploy" | "findFaults">;

/** Wrong use of the bridge's own HTTP. */
class BridgeRequestError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.name = "BridgeRequestError";
    this.status = status;
  }
}

const STATUS: Readonly<Record<RefusalCode, number>> = {
  CLOCK: 503,
  ENGINE: 502,
  IMAGE: 400,
  ORDER: 403,
  PIN: 403,
  POLICY: 403,
  REGISTRY: 502,
  SILENT: 502,
  SPEC: 403,
  STORE: 503,
  TRUST: 403,
  UNSIGNED: 403,
};

const MAX_SPEC_BYTES = 1024 * 1024;
/** The order is the credential: whoever holds none is refused by what it says. */
const OPEN = { kind: "open" } as const;

export const bridgeRoutes = (bridge: BridgeDoor): Route[] => [
  route("bridge-health", "GET", "/healthz", OPEN, async () => empty(200)),
  route("bridge-ready", "GET", "/readyz", OPEN, getReady(bridge)),
  route("bridge-deploy", "POST", "/api/v1/deployments", OPEN, deploy(bridge), { maxBodyBytes: MAX_SPEC_BYTES }),
];

export const bridgeProtocol = (bridge: BridgeDoor): Protocol => ({
  prefix: "/",
  routes: bridgeRoutes(bridge),
  errorReply: (error) => {
    if (error instanceof BodyTooLargeError) return problem(413, "too-large", error.message);
    return error instanceof BridgeRequestError ? problem(error.status, "request", error.message) : undefined;
  },
  notFound: () => new BridgeRequestError(404, "there is no such resource"),
  methodNotAllowed: (allowed) => new BridgeRequestError(405, `allowed: ${allowed.join(", ")}`),
  badRequest: (message) => new BridgeRequestError(400, message),
});

/** `GET /readyz`: 200, or 503 with what keeps it from deploying. */
function getReady(bridge: BridgeDoor) {
  return async (): Promise<Reply> => {
    const faults = await bridge.findFaults();
    return json(faults.length === 0 ? 200 : 503, { ready: faults.length === 0, faults });
  };
}

/**
 * `POST /api/v1/deployments?environment=NAME` with the order (compact JWS) in `Goldseal-Order` and the service's
 * specification as the body. Refused before the engine heard of it: a problem. Else 200 and a line of JSON for each
 * progress; the last one is the outcome.
 */
function deploy(bridge: BridgeDoor) {
  return async (request: Request): Promise<Reply> => {
    const environment = request.query("environment") ?? "";
    const order = request.header("goldseal-order");
    if (order === undefined) throw request.badRequest("header Goldseal-Order is missing");
    const spec = await request.body();

    const lines = new Lines();
    const outcome = bridge.deploy({ environment, order, spec }, (progress) => lines.add({ progress }));
    const done = outcome.then(
      (end) => lines.end({ outcome: end }),
      (error: unknown) => lines.fail(error),
    );
    const first = await Promise.race([outcome, lines.begun]);

    if (first !== undefined && first.kind === "refuse") return refused(first);
    return bytes(200, "application/x-ndjson", lines.stream(done));
  };
}

function refused({ code, reason }: Extract<Outcome, { kind: "refuse" }>): Reply {
  return problem(STATUS[code], code.toLowerCase(), reason);
}

/** RFC 9457. */
function problem(status: number, code: string, detail: string): Reply {
  return bytes(status, "application/problem+json", Buffer.from(JSON.stringify({ status, code, detail })));
}

/** Lines that are told as they come. A deployment goes on when nobody listens any more. */
class Lines {
  readonly #begun = Promise.withResolvers<undefined>();
  readonly #waiting: Buffer[] = [];
  #wake = Promise.withResolvers<void>();
  #isOver = false;
  #error: unknown;

  get begun(): Promise<undefined> {
    return this.#begun.promise;
  }

  add(line: object): void {
    this.#waiting.push(Buffer.from(`${JSON.stringify(line)}\n`));
    this.#begun.resolve(undefined);
    this.#wake.resolve();
  }

  end(line: object): void {
    this.#isOver = true;
    this.add(line);
  }

  fail(error: unknown): void {
    [this.#isOver, this.#error] = [true, error];
    this.#wake.resolve();
  }

  stream(done: Promise<void>): ByteStream {
    return { length: undefined, chunks: () => this.#chunks(), close: async () => void done };
  }

  async *#chunks(): AsyncGenerator<Uint8Array> {
    for (;;) {
      await this.#wake.promise;
      this.#wake = Promise.withResolvers();
      yield* this.#waiting.splice(0);
      if (this.#error !== undefined) throw this.#error;
      if (this.#isOver && this.#waiting.length === 0) return;
    }
  }
}
