/** Structured log: one JSON object a line, on stderr. Nothing secret may be put in `fields`. */
export interface Log {
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
}

export type LogFields = Readonly<Record<string, unknown>>;
export type LogLevel = "info" | "warn" | "error" | "off";

export interface LogOptions {
  readonly level?: LogLevel;
  readonly write?: (line: string) => void;
  readonly now?: () => Date;
}

const RANK: Readonly<Record<LogLevel, number>> = { info: 0, warn: 1, error: 2, off: 3 };

/** The standard writer gathers lines; call `flushLog` before the process ends. */
export function createLog({ level = "info", write = writeStderr, now = () => new Date() }: LogOptions = {}): Log {
  const at =
    (severity: Exclude<LogLevel, "off">) =>
    (event: string, fields: LogFields = {}): void => {
      if (RANK[severity] < RANK[level]) return;
      const known = `"time":"${now().toISOString()}","level":"${severity}","event":${JSON.stringify(event)}`;
      const more = JSON.stringify(fields);
      // Put together as text: an object of all would be made, field by field, only to be written and forgotten.
      write(more === "{}" ? `{${known}}\n` : `{${known},${more.slice(1)}\n`);
    };
  return { info: at("info"), warn: at("warn"), error: at("error") };
}

/** What is worth knowing of an error in a log line: message, cause chain and where it came from. */
export function describeError(error: unknown): LogFields {
  if (!(error instanceof Error)) return { error: String(error) };
  const cause = error.cause === undefined ? {} : { cause: describeError(error.cause) };
  return { error: error.message, kind: error.name, stack: error.stack?.split("\n").slice(1, 6).join("\n"), ...cause };
}

const flushMs = 20;
let pending = "";

/** Lines of one moment go out in one write; what is left when the process ends goes out then. */
function writeStderr(line: string): void {
  if (pending === "") setTimeout(flushLog, flushMs).unref();
  pending += line;
}

export function flushLog(): void {
  const text = pending;
  pending = "";
  if (text !== "") process.stderr.write(text);
}
