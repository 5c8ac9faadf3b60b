import type { IncomingMessage } from "node:http";
import { type ByteStream, bytes, empty } from "../http/reply.ts";
import type { Request } from "../http/request.ts";
import type { Handler } from "../http/route.ts";
import type { Deed, RelayDeps } from "./deps.ts";
import { forward, headersBack, type Problem, problemReply, readProblem } from "./forward.ts";

/** What services wrote is theirs: who read it is on record, as who was refused is. */
const RECORDED = "cluster-service-logs";

/** A question to the bridge as the user who is signed in here; it says who may see what. */
export function relayView(deps: RelayDeps): Handler {
  return async (request) => {
    const incoming = await forward(deps, request);
    const { statusCode: status = 502 } = incoming;
    const { "content-type": type = "application/json", ...headers } = headersBack(incoming);
    if (status === 304) return empty(304, headers);
    if (status !== 200) {
      const problem = await readProblem(incoming);
      const deed = deedOf(request, { message: problem.detail });
      return problemReply(problem, headers, isRefusal(problem, request) ? deps.noteRefused(request, deed) : undefined);
    }
    if (request.route.id === RECORDED) deps.noteDone(request, deedOf(request, describe(request, incoming)));
    const body: ByteStream = {
      length: undefined,
      chunks: () => incoming,
      close: async () => void incoming.destroy(),
    };
    return bytes(200, String(type), body, headers);
  };
}

/** An environment that somebody asks for by its name, and may not view, is as if it were not there. */
function isRefusal({ status }: Problem, request: Request): boolean {
  return status === 403 || (status === 404 && request.query("environment") !== undefined);
}

function describe(request: Request, { headers }: IncomingMessage): Deed["detail"] {
  const { "goldseal-environment": environment } = headers;
  return { service: request.param("service"), ...(typeof environment === "string" ? { environment } : {}) };
}

/** `/api/v1/cluster/services/web` → `cluster/services/web`. */
const deedOf = ({ route, path }: Request, detail: Deed["detail"]): Deed => ({
  ...{ action: route.id, target: path.replace(/^\/api\/v1\//, ""), detail },
});
