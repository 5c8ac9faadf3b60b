import type { ByteStream } from "../../http/reply.ts";
import type { JsonObject } from "../../oci/json.ts";
import { BridgeError } from "../errors.ts";
import type { ViewDeps } from "./list-view.ts";
import { readFrames, readTerminal } from "./log-frames.ts";
import { type LogError, type LogLine, LogLines } from "./log-lines.ts";
import { toNode } from "./node-engines.ts";
import { nameOf } from "./services.ts";
import { filters, numberAt, textAt } from "./wire.ts";

type Manager = ViewDeps["manager"];

export interface LogTailOptions {
  /** Of the engine's API. */
  readonly path: string;
  /** Its tasks have one each: then the engine puts nothing between messages. */
  readonly isTerminal: boolean;
  readonly limitMs: number;
  readonly onClose: () => void;
}

/** Short of what clients and proxies wait for a silent connection; whoever went away is noticed by it. */
const BEAT_MS = 10_000;
const BEAT = Symbol("beat");

/** The log of a service, in lines of JSON. */
export class LogTail implements ByteStream {
  readonly length = undefined;
  readonly #names: TaskNames;
  readonly #manager: Manager;
  readonly #options: LogTailOptions;
  readonly #closing = new AbortController();
  readonly #limit: AbortSignal;
  #incoming: AsyncIterable<Uint8Array> | undefined;

  constructor(manager: Manager, service: JsonObject, options: LogTailOptions) {
    this.#manager = manager;
    this.#options = options;
    this.#names = new TaskNames(manager, service);
    this.#limit = AbortSignal.timeout(options.limitMs);
  }

  /** @throws BridgeError SILENT, ENGINE */
  async open(): Promise<void> {
    try {
      await this.#names.read();
      const signal = AbortSignal.any([this.#closing.signal, this.#limit]);
      this.#incoming = await this.#manager.stream(this.#options.path, signal);
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#options.onClose();
  }

  async *chunks(): AsyncGenerator<Uint8Array> {
    const lines = this.#lines();
    for (let next = lines.next(); ; ) {
      // Whoever stops to read does not wait for what comes next.
      next.catch(() => undefined);
      const got = await orBeat(next);
      if (got === BEAT) {
        yield Buffer.from("\n");
        continue;
      }
      if (got.done === true) return;
      yield Buffer.from(`${JSON.stringify(got.value)}\n`);
      next = lines.next();
    }
  }

  async *#lines(): AsyncGenerator<object> {
    const lines = new LogLines();
    try {
      if (this.#incoming === undefined) throw new Error("the log is not open");
      const read = this.#options.isTerminal ? readTerminal : readFrames;
      for await (const frame of read(this.#incoming)) yield await this.#toWire(lines.read(frame));
    } catch (error) {
      if (this.#limit.aborted) yield { end: `a log is read for ${this.#options.limitMs / 1000} s at most` };
      else if (!this.#closing.signal.aborted) yield { error: why(error) };
    }
  }

  async #toWire(line: LogLine | LogError): Promise<object> {
    if ("error" in line) return line;
    const { at, stream, task, node, text, partial } = line;
    return { at, stream, task, ...(await this.#names.find(task, node)), text, partial };
  }
}

async function orBeat<T>(next: Promise<T>): Promise<T | typeof BEAT> {
  const beat = Promise.withResolvers<typeof BEAT>();
  const timer = setTimeout(() => beat.resolve(BEAT), BEAT_MS);
  try {
    return await Promise.race([next, beat.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** What broke off, in words; a fault of ours is not told. */
function why(error: unknown): string {
  if (error instanceof BridgeError) return error.message;
  if (error instanceof Error && "code" in error) return `the engine broke off: ${error.message}`;
  throw error;
}

/** What people call a task and its node. */
class TaskNames {
  readonly #manager: Manager;
  readonly #service: JsonObject;
  #slots: ReadonlyMap<string, number> = new Map();
  #nodes: ReadonlyMap<string, string> = new Map();
  /** Asked for, and not found: a task that the managers have forgotten. */
  readonly #unknown = new Set<string>();

  constructor(manager: Manager, service: JsonObject) {
    this.#manager = manager;
    this.#service = service;
  }

  async read(): Promise<void> {
    const ofService = filters({ service: [textAt(this.#service, "ID")] });
    const [tasks, nodes] = await Promise.all([
      this.#manager.list(`/tasks?filters=${ofService}`),
      this.#manager.list("/nodes"),
    ]);
    this.#slots = new Map(tasks.map((task) => [textAt(task, "ID"), numberAt(task, "Slot")]));
    this.#nodes = new Map(nodes.map(toNode).map(({ id, name }) => [id, name]));
  }

  async find(task: string, nodeId: string): Promise<{ readonly name: string; readonly node: string }> {
    if (!this.#slots.has(task) && !this.#unknown.has(task)) {
      this.#unknown.add(task);
      await this.read();
    }
    const node = this.#nodes.get(nodeId) ?? nodeId;
    return { name: `${nameOf(this.#service)}.${this.#slots.get(task) || node}`, node };
  }
}
