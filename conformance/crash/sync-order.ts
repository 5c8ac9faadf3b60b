/**
 * A kill proves nothing about fsync: the kernel keeps what was written. So the system calls of a server under strace are
 * replayed onto a model of the disk that forgets what was not synced. Whenever a row is written or an answer sent, all
 * that is in the blob store must be such that it outlives a power cut: bytes synced after their last write, names by a
 * sync of their folder after they were made.
 */
import { Violation } from "./violation.ts";

interface File {
  /** Written to since its last sync. */
  isDirty: boolean;
}

interface Name {
  readonly file: File;
  isDurable: boolean;
}

interface Call {
  readonly name: string;
  /** Text between the parentheses. */
  readonly args: string;
  /** Lines of the trace: what is done at `end` began at `start`. */
  readonly start: number;
  readonly end: number;
  readonly failed: boolean;
}

export interface SyncCounts {
  readonly rows: number;
  readonly answers: number;
  readonly syncs: number;
}

/** Rows that speak of bytes: the names of their prepared statements, and the end of a transaction. */
const ROW = /\\0(?:upload-append|blob-link)\\0|commit\\0/;
const ANSWER = /HTTP\/1\.1 20[12] /;

/** @throws Violation LOSS for the first row or answer that came before what it promises was on the disk */
export function checkSyncOrder(trace: string, root: string): SyncCounts {
  const disk = new Disk(root);
  const counts = { rows: 0, answers: 0, syncs: 0 };
  for (const call of inOrder(parse(trace))) {
    const isSend = /^(?:write|writev|sendto|sendmsg)$/.test(call.name) && /^\d+<(?:socket|TCP|UNIX)/.test(call.args);
    const what = !isSend ? undefined : ROW.test(call.args) ? "rows" : ANSWER.test(call.args) ? "answers" : undefined;
    if (what !== undefined) {
      counts[what]++;
      disk.mustBeDurable(`${what === "rows" ? "a row" : "an answer"} (${call.args.slice(0, 160)})`);
    } else if (!call.failed && disk.take(call)) {
      counts.syncs++;
    }
  }
  return counts;
}

class Disk {
  readonly #root: string;
  readonly #names = new Map<string, Name>();
  /** Line of the last change, for syncs that began before it. */
  readonly #changed = new Map<Name | File, number>();

  constructor(root: string) {
    this.#root = root;
  }

  /** Whether it was a sync of something here. */
  take({ name, args, start, end }: Call): boolean {
    const [first = "", second = ""] = [...args.matchAll(/"([^"]*)"/g)].map(([, path]) => path ?? "");
    if (name === "openat" && args.includes("O_CREAT")) this.#make(first, { isDirty: false }, end);
    else if (name === "mkdir") this.#make(first, { isDirty: false }, end);
    else if (name === "link") this.#make(second, this.#names.get(first)?.file ?? { isDirty: true }, end);
    else if (name === "rename") {
      this.#make(second, this.#names.get(first)?.file ?? { isDirty: true }, end);
      this.#names.delete(first);
    } else if (name === "unlink") this.#names.delete(first);
    else if (/^(?:p?writev?(?:64)?|sendfile)$/.test(name)) this.#write(fdPath(args), end);
    else if (name === "copy_file_range") this.#write([...args.matchAll(/<([^>]*)>/g)][1]?.[1] ?? "", end);
    else if (name === "fsync" || name === "fdatasync") return this.#sync(fdPath(args), start);
    return false;
  }

  mustBeDurable(when: string): void {
    const lost = [...this.#names].filter(([, { file, isDurable }]) => file.isDirty || !isDurable);
    if (lost.length === 0) return;
    const words = lost
      .slice(0, 3)
      .map(([path, { file }]) => `${file.isDirty ? "the bytes" : "the name"} of ${path.slice(this.#root.length + 1)}`);
    throw new Violation("LOSS", `in a power cut: ${words.join(", ")} not synced before ${when}`);
  }

  #make(path: string, file: File, at: number): void {
    if (!path.startsWith(this.#root)) return;
    const name = { file, isDurable: false };
    this.#names.set(path, name);
    this.#changed.set(name, at);
  }

  #write(path: string, at: number): void {
    const name = this.#names.get(path);
    if (name === undefined) return;
    name.file.isDirty = true;
    this.#changed.set(name.file, at);
  }

  /** A sync keeps what was complete when it began. */
  #sync(path: string, start: number): boolean {
    const before = (thing: Name | File): boolean => (this.#changed.get(thing) ?? 0) < start;
    const own = this.#names.get(path);
    if (own && before(own.file)) own.file.isDirty = false;
    for (const [child, name] of this.#names) {
      if (child.slice(0, child.lastIndexOf("/")) === path && before(name)) name.isDurable = true;
    }
    return own !== undefined || path.startsWith(this.#root);
  }
}

/** The path that `strace -y` writes behind the descriptor. */
const fdPath = (args: string): string => /^\d+<([^>]*)>/.exec(args)?.[1] ?? "";

/** A call that a thread was in while others went on is on two lines. */
function* parse(trace: string): Generator<Call> {
  const waiting = new Map<string, { name: string; args: string; start: number }>();
  for (const [line, text] of trace.split("\n").entries()) {
    const [, thread = "", rest = ""] = /^(\d+) +(.*)$/.exec(text) ?? [];
    const resumed = /^<\.\.\. (\w+) resumed>(.*)$/.exec(rest);
    if (resumed) {
      const begun = waiting.get(thread);
      waiting.delete(thread);
      if (begun) yield { ...begun, args: begun.args + resumed[2], end: line, failed: /= -1 /.test(rest) };
      continue;
    }
    const [, name = "", args = ""] = /^(\w+)\((.*)$/.exec(rest) ?? [];
    if (name === "") continue;
    if (args.endsWith("<unfinished ...>")) waiting.set(thread, { name, args, start: line });
    else yield { name, args, start: line, end: line, failed: /= -1 /.test(rest) };
  }
}

/** What is sent counts from when it began, everything else from when it was done. */
function inOrder(calls: Iterable<Call>): Call[] {
  const at = ({ name, args, start, end }: Call): number =>
    /^(?:write|writev|sendto|sendmsg)$/.test(name) && !args.includes("</") ? start : end;
  return [...calls].sort((a, b) => at(a) - at(b));
}
