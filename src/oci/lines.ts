const MAX_LINE_BYTES = 1024 * 1024;

/** The lines of bytes that come in pieces, without their ends. @throws Error for one of more than 1 MiB */
export async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of chunks) {
    rest = Buffer.concat([rest, chunk]);
    for (let end = rest.indexOf(0x0a); end >= 0; end = rest.indexOf(0x0a)) {
      yield rest.subarray(0, end);
      rest = rest.subarray(end + 1);
    }
    if (rest.length > MAX_LINE_BYTES) throw new Error("a line of more than 1 MiB");
  }
  if (rest.length > 0) yield rest;
}
