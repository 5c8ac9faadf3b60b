import type { Readable, Writable } from "node:stream";
import { CliError } from "./errors.ts";

export interface TerminalInput extends Readable {
  readonly isTTY?: boolean;
  setRawMode?(on: boolean): unknown;
}

export interface TerminalOutput extends Writable {
  readonly isTTY?: boolean;
}

/** Where a command reads and writes: the three streams of a process. */
export interface CliIo {
  readonly stdin: TerminalInput;
  /** What a script reads. */
  readonly stdout: TerminalOutput;
  /** What a person reads. */
  readonly stderr: TerminalOutput;
}

const waitMs = 1000;
const CLEAR_LINE = "\r\u001b[K";

/** At a terminal, a line that says what takes so long, once it takes longer than a second. Call the answer at its end. */
export function showWaiting({ stderr }: CliIo, doing: string): () => void {
  if (stderr.isTTY !== true) return () => undefined;
  const started = Date.now();
  let shown = false;
  const timer = setInterval(() => {
    shown = true;
    stderr.write(`${CLEAR_LINE}waiting to ${doing} … ${Math.round((Date.now() - started) / 1000)} s`);
  }, waitMs);
  return () => {
    clearInterval(timer);
    if (shown) stderr.write(CLEAR_LINE);
  };
}

/** Everything on standard input, without the newline that `echo` adds. */
export async function readStdin({ stdin }: CliIo): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stdin) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks)
    .toString("utf8")
    .replace(/\r?\n$/, "");
}

/** Asks a person at a terminal; what is typed is not shown. */
export async function askSecret({ stdin, stderr }: CliIo, question: string): Promise<string> {
  stderr.write(question);
  stdin.setRawMode?.(true);
  stdin.resume();
  try {
    return await typedLine(stdin);
  } finally {
    stdin.setRawMode?.(false);
    stdin.pause();
    stderr.write("\n");
  }
}

const END = new Set(["\r", "\n", "\u0004"]);
const BACKSPACE = new Set(["\u007f", "\b"]);

function typedLine(stdin: TerminalInput): Promise<string> {
  return new Promise((resolve, reject) => {
    const typed: string[] = [];
    const finish = (act: () => void): void => {
      stdin.off("data", read).off("end", end);
      act();
    };
    const end = (): void => finish(() => resolve(typed.join("")));
    const read = (chunk: Buffer): void => {
      for (const character of chunk.toString("utf8")) {
        if (character === "\u0003") finish(() => reject(new CliError("interrupted")));
        else if (END.has(character)) end();
        else if (BACKSPACE.has(character)) typed.pop();
        else typed.push(character);
        if (character === "\u0003" || END.has(character)) return;
      }
    };
    stdin.on("data", read).on("end", end);
  });
}
