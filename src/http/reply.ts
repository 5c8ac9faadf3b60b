/** Bytes that are sent piece by piece; a piece is valid until the next one is asked for. */
export interface ByteStream {
  /** Undefined: not known before the end. */
  readonly length: number | undefined;
  chunks(): AsyncIterable<Uint8Array>;
  /** Told why the chunks ended early, where it was not for the client. */
  onBroken?(error: unknown): void;
  /** Called once, whether or not the chunks were read. */
  close(): Promise<void>;
}

/** What a handler answers; `http/` adds the request id and sends it. */
export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  /** Absent: an empty body. A HEAD request gets the length of the body, never the body. */
  readonly body?: Buffer | ByteStream;
}

export type ReplyHeaders = Reply["headers"];

export function json(status: number, value: unknown, headers: ReplyHeaders = {}): Reply {
  return bytes(status, "application/json", Buffer.from(JSON.stringify(value)), headers);
}

export function bytes(
  status: number,
  contentType: string,
  body: Buffer | ByteStream,
  headers: ReplyHeaders = {},
): Reply {
  return { status, headers: { "Content-Type": contentType, ...headers }, body };
}

export function empty(status: number, headers: ReplyHeaders = {}): Reply {
  return { status, headers };
}
