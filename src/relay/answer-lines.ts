import { isJsonObject, JsonError, type JsonObject, parseJson } from "../oci/json.ts";

const MAX_LINE_BYTES = 1024 * 1024;

/** The lines of an answer as they come, without their ends. */
export async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of chunks) {
    rest = Buffer.concat([rest, chunk]);
    for (let end = rest.indexOf(0x0a); end >= 0; end = rest.indexOf(0x0a)) {
      yield rest.subarray(0, end);
      rest = rest.subarray(end + 1);
    }
    if (rest.length > MAX_LINE_BYTES) throw new Error("the bridge sent a line of more than 1 MiB");
  }
  if (rest.length > 0) yield rest;
}

/** The object of a line, or of a body; undefined for what is none. */
export function findObject(bytes: Uint8Array): JsonObject | undefined {
  try {
    const value = parseJson(bytes);
    return isJsonObject(value) ? value : undefined;
  } catch (error) {
    if (error instanceof JsonError) return undefined;
    throw error;
  }
}
