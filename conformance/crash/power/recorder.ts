/** recorder.c, built where it is needed, and its log while it is being written. */
import { chmodSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { findTool, mustRun } from "../../harness/tools.ts";

/** Undefined without a C compiler. */
export async function buildRecorder(folder: string): Promise<string | undefined> {
  const compiler = findTool("gcc");
  if (compiler === undefined) return undefined;
  const library = join(folder, "recorder.so");
  const source = join(import.meta.dirname, "recorder.c");
  await mustRun(compiler, ["-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o", library, source, "-ldl"]);
  return library;
}

export class Recording {
  readonly #log: string;
  /** For the process to be recorded; its children are too. */
  readonly env: Readonly<Record<string, string>>;

  /** Of what happens below `root` from now on. */
  constructor(library: string, log: string, root: string) {
    this.#log = log;
    this.env = { LD_PRELOAD: library, CRASH_RECORD_LOG: log, CRASH_RECORD_ROOT: root };
    writeFileSync(log, "");
    // PostgreSQL, which is nobody when we are root, writes into it too.
    chmodSync(log, 0o666);
  }

  /** How much was recorded: all that was done before an answer that somebody has now. */
  get position(): number {
    return statSync(this.#log).size;
  }

  read(): Buffer {
    return readFileSync(this.#log);
  }
}
