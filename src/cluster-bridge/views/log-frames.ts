import { BridgeError } from "../errors.ts";

export type LogStream = "stdout" | "stderr" | "error";

/** One message of a log, as the engine sends it. */
export interface LogFrame {
  /** `error`: the engine itself says what it cannot show. */
  readonly stream: LogStream;
  readonly bytes: Buffer;
}

const HEADER_BYTES = 8;
/** An engine cuts messages into pieces of 16 KiB; details come on top. */
const MAX_FRAME_BYTES = 1024 * 1024;
const STREAMS: Readonly<Record<number, LogStream>> = { 1: "stdout", 2: "stderr", 3: "error" };

/**
 * The multiplexed stream: a header of the stream's number, three zeros and the length in four bytes, then so many bytes.
 * Pieces may be cut anywhere.
 * @throws BridgeError ENGINE for what is no such stream, or ends within a frame
 * @see Docker Engine API 1.41, ContainerAttach "Stream format"
 */
export async function* readFrames(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<LogFrame> {
  let rest = Buffer.alloc(0);
  for await (const piece of pieces) {
    rest = Buffer.concat([rest, piece]);
    for (let end = endOf(rest); end !== undefined && rest.length >= end; end = endOf(rest)) {
      yield { stream: streamOf(rest), bytes: rest.subarray(HEADER_BYTES, end) };
      rest = rest.subarray(end);
    }
  }
  if (rest.length > 0) throw new BridgeError("ENGINE", "the engine's log ends within a message");
}

/** Where the first frame ends; undefined while its header is not whole. */
function endOf(bytes: Buffer): number | undefined {
  if (bytes.length < HEADER_BYTES) return undefined;
  streamOf(bytes);
  const length = bytes.readUInt32BE(4);
  if (length > MAX_FRAME_BYTES) throw new BridgeError("ENGINE", `the engine's log has a message of ${length} bytes`);
  return HEADER_BYTES + length;
}

function streamOf(bytes: Buffer): LogStream {
  const stream = STREAMS[bytes.readUInt8(0)];
  if (stream === undefined || bytes.readUIntBE(1, 3) !== 0)
    throw new BridgeError("ENGINE", "the engine's log is no stream of messages");
  return stream;
}
