import { type ByteStream, bytes, empty } from "../http/reply.ts";
import type { Handler } from "../http/route.ts";
import type { RelayDeps } from "./deps.ts";
import { forward, headersBack, problemReply, readProblem } from "./forward.ts";

/** A question to the bridge as the user who is signed in here; it says who may see what. */
export function relayView(deps: RelayDeps): Handler {
  return async (request) => {
    const incoming = await forward(deps, request);
    const { statusCode: status = 502 } = incoming;
    const { "content-type": type = "application/json", ...headers } = headersBack(incoming);
    if (status === 304) return empty(304, headers);
    if (status !== 200) {
      const problem = await readProblem(incoming);
      const isRefusal = problem.status === 403;
      const deed = { action: request.route.id, target: targetOf(request.path), detail: { message: problem.detail } };
      return problemReply(problem, headers, isRefusal ? deps.noteRefused(request, deed) : undefined);
    }
    const body: ByteStream = {
      length: undefined,
      chunks: () => incoming,
      close: async () => void incoming.destroy(),
    };
    return bytes(200, String(type), body, headers);
  };
}

/** `/api/v1/cluster/services/web` → `cluster/services/web`. */
const targetOf = (path: string): string => path.replace(/^\/api\/v1\//, "");
