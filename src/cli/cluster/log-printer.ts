import { Writable } from "node:stream";
import { isJsonObject, type Json, JsonError, parseJson } from "../../oci/json.ts";
import { CliError } from "../errors.ts";
import { printable, toText } from "../table.ts";
import type { CliIo } from "../terminal.ts";

/** Lines of JSON as they come, cut anywhere, to lines for people: what a task wrote cannot move their cursor. */
export class LogPrinter extends Writable {
  readonly #io: CliIo;
  readonly #asJson: boolean;
  #rest = Buffer.alloc(0);
  #error: string | undefined;

  constructor(io: CliIo, asJson: boolean) {
    super();
    this.#io = io;
    this.#asJson = asJson;
  }

  override _write(piece: Buffer, _encoding: BufferEncoding, done: (error?: Error) => void): void {
    const lines = Buffer.concat([this.#rest, piece]);
    const end = lines.lastIndexOf(0x0a) + 1;
    this.#rest = lines.subarray(end);
    try {
      const text = lines.toString("utf8", 0, end).split("\n");
      const printed = text.map((line) => (line === "" ? "" : this.#print(line))).join("");
      if (printed === "" || this.#io.stdout.write(printed)) done();
      else this.#io.stdout.once("drain", () => done());
    } catch (cause) {
      done(cause instanceof JsonError ? new CliError("the log that came is none", { cause }) : (cause as Error));
    }
  }

  /** @throws CliError where something could not be shown */
  finish(): void {
    if (this.#error !== undefined) throw new CliError(`not all of the log could be read: ${this.#error}`);
  }

  /** An empty line says only that the connection lives. */
  #print(line: string): string {
    const entry = parseJson(Buffer.from(line));
    if (!isJsonObject(entry)) throw new JsonError("no object");
    if (entry.error !== undefined) this.#error = toText(entry.error);
    if (entry.end !== undefined && !this.#asJson) this.#io.stderr.write(`${printable(toText(entry.end))}\n`);
    if (this.#asJson) return `${line}\n`;
    if (entry.text === undefined) return "";
    return `${printable(`${toText(entry.name)}@${toText(entry.node)}`)} | ${clean(entry.text)}\n`;
  }
}

/** A tab does no harm. */
const clean = (text: Json): string => toText(text).split("\t").map(printable).join("\t");
