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

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/**
 * What tasks with a terminal wrote: the same messages one after the other, with nothing between them. A line begins with the
 * engine's words, whatever a task writes; so each message is read to its line's end, and one that has none, which is a task's last
 * or of 16 KiB, takes the next message along as its own text. Nobody's words can be made to look like another task's line.
 * @throws BridgeError ENGINE for a line without end
 */
export async function* readTerminal(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<LogFrame> {
  let rest = Buffer.alloc(0);
  for await (const piece of pieces) {
    rest = Buffer.concat([rest, piece]);
    for (let end = rest.indexOf(LINE_FEED); end >= 0; end = rest.indexOf(LINE_FEED)) {
      yield toTerminalFrame(rest.subarray(0, end + 1));
      rest = rest.subarray(end + 1);
    }
    if (rest.length > MAX_FRAME_BYTES)
      throw new BridgeError("ENGINE", `the engine's log has a line of more than ${MAX_FRAME_BYTES} bytes`);
  }
  if (rest.length > 0) yield toTerminalFrame(rest);
}

/** A terminal makes two characters of a line's end; what the engine itself says has neither time nor details. */
function toTerminalFrame(bytes: Buffer): LogFrame {
  const stream = bytes.toString("latin1", 0, ENGINE_SAYS.length) === ENGINE_SAYS ? "error" : "stdout";
  const hasReturn = bytes.at(-1) === LINE_FEED && bytes.at(-2) === CARRIAGE_RETURN;
  return { stream, bytes: hasReturn ? Buffer.concat([bytes.subarray(0, -2), bytes.subarray(-1)]) : bytes };
}

const ENGINE_SAYS = "Error grabbing logs: ";

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
