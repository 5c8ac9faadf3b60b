/** Makes a request that went wrong as small as it can be while it still goes wrong in the same way. */
import type { WireRequest } from "./wire.ts";

export async function shrink(
  request: WireRequest,
  stillFails: (smaller: WireRequest) => Promise<boolean>,
): Promise<WireRequest> {
  let smallest = request;
  for (let found = true; found; ) {
    found = false;
    for (const smaller of candidates(smallest)) {
      if (!(await stillFails(smaller))) continue;
      smallest = smaller;
      found = true;
      break;
    }
  }
  return smallest;
}

/** One thing less each: a header, the query or one of its parameters, the body or half of it. */
function* candidates(request: WireRequest): Generator<WireRequest> {
  const { headers, target, body } = request;
  for (const index of headers.keys()) {
    if (headers[index]?.[0] !== "Host") yield { ...request, headers: headers.filter((_, other) => other !== index) };
  }
  const [path = "", query] = target.split("?", 2);
  if (query !== undefined) {
    yield { ...request, target: path };
    const parts = query.split("&");
    for (const index of parts.length > 1 ? parts.keys() : [])
      yield { ...request, target: `${path}?${parts.filter((_, other) => other !== index).join("&")}` };
  }
  if (body === undefined) return;
  const { body: _, framing: __, ...rest } = request;
  yield rest;
  if (request.framing === "chunked") yield { ...request, framing: "length" };
  for (let length = body.length >> 1; length > 0; length >>= 1) {
    yield { ...request, body: body.subarray(0, body.length - length) };
    yield { ...request, body: body.subarray(length) };
  }
}
