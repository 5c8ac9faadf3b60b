import { BridgeError } from "../errors.ts";
import type { LogFrame } from "./log-frames.ts";

/** What one task wrote. */
export interface LogLine {
  readonly at: string;
  readonly stream: "stdout" | "stderr";
  /** Ids. */
  readonly task: string;
  readonly node: string;
  /** Without the line's end. */
  readonly text: string;
  /** The line goes on with the next one of this task and stream. */
  readonly partial: boolean;
}

/** What the engine could not show. */
export interface LogError {
  readonly error: string;
}

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/;

/**
 * Messages with time and details, as lines. A long line comes in pieces, which are cut between bytes: a character that is
 * cut is kept until its end is there.
 */
export class LogLines {
  /** By task and stream, while a line is not at its end. */
  readonly #open = new Map<string, TextDecoder>();

  /** @throws BridgeError ENGINE for a message without time or details */
  read({ stream, bytes }: LogFrame): LogLine | LogError {
    if (stream === "error") return { error: bytes.toString().trimEnd() };
    const [at, afterTime] = wordAt(bytes, 0);
    const [details, start] = wordAt(bytes, afterTime);
    const { task, node } = toDetails(details);
    if (!TIME.test(at) || task === undefined || node === undefined)
      throw new BridgeError("ENGINE", "the engine's log has a message without its time, node and task");
    const isWhole = bytes.at(-1) === 0x0a;
    const message = bytes.subarray(start, isWhole ? -1 : undefined);
    const text = this.#decode(`${task} ${stream}`, message, isWhole);
    return { at, stream, task, node, text, partial: !isWhole };
  }

  #decode(key: string, bytes: Uint8Array, isWhole: boolean): string {
    const decoder = this.#open.get(key) ?? new TextDecoder("utf-8", { ignoreBOM: true });
    if (isWhole) this.#open.delete(key);
    else this.#open.set(key, decoder);
    return decoder.decode(bytes, { stream: !isWhole });
  }
}

/** Up to the next space, and where what comes after it begins. */
function wordAt(bytes: Buffer, from: number): readonly [word: string, next: number] {
  const space = bytes.indexOf(0x20, from);
  const end = space < 0 ? bytes.length : space;
  return [bytes.toString("latin1", from, end), Math.min(end + 1, bytes.length)];
}

/** `name=value,name=value`, escaped as in a query. */
function toDetails(text: string): { readonly task: string | undefined; readonly node: string | undefined } {
  const entries = new Map(text.split(",").map((pair) => pair.split("=", 2) as [string, string | undefined]));
  return { task: entries.get("com.docker.swarm.task.id"), node: entries.get("com.docker.swarm.node.id") };
}
