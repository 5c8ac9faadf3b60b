import type { Key } from "../../notary/tuf/key.ts";
import { TrustError } from "../../trust/error.ts";
import { type AllowNote, hashOfBody, NOTE_LIFE_MS, openNote } from "./allow-note.ts";
import { findPath, isOpen } from "./open-calls.ts";

/** What an engine asks the plug-in about, as far as it is looked at. */
export interface AskedCall {
  readonly method: string;
  /** Path and query as they came. */
  readonly uri: string;
  /** The note that came with it. */
  readonly note: string | undefined;
  /** Undefined where the engine shows none: there is none, it is no JSON, or longer than a megabyte. */
  readonly body: Uint8Array | undefined;
}

/** The reason why not; undefined: it passes. */
export type Denial = string | undefined;

/** How far the bridge's clock may be ahead of this machine's. */
const SKEW_MS = 30_000;

/**
 * What may pass on a manager. No body is interpreted: Go and JavaScript read one differently, so only the bytes that the
 * bridge wrote a note on count. Whatever is not known is denied.
 * @see docs/decisions/0052; the five bypasses in gate.test.ts
 */
export class Gate {
  readonly #keys: readonly Key[];
  readonly #now: () => Date;
  /** Nonces that were used, with the time until which they must be remembered. */
  readonly #used = new Map<string, number>();

  constructor(keys: readonly Key[], now: () => Date) {
    this.#keys = keys;
    this.#now = now;
  }

  judge(call: AskedCall): Denial {
    const path = findPath(call.uri);
    if (path === undefined) return "this is no path of the engine's";
    if (isOpen(call.method, path)) return undefined;
    if (call.note === undefined) return `${call.method} ${path} is for the Goldseal bridge alone`;
    // The bridge never asks for it: what ran before may have been revoked since.
    if (/^\/services\/[^/]+\/update$/.test(path) && asksForRollback(call.uri))
      return "a rollback by the engine is never let pass";
    return this.#judgeNote(call.note, call);
  }

  #judgeNote(text: string, call: AskedCall): Denial {
    try {
      return this.#findFlaw(openNote(text, this.#keys), call);
    } catch (error) {
      if (error instanceof TrustError) return `the note does not hold: ${error.message}`;
      throw error;
    }
  }

  #findFlaw(note: AllowNote, { method, uri, body }: AskedCall): Denial {
    const now = this.#now().getTime();
    if (note.method !== method || note.uri !== uri) return `the note is for ${note.method} ${note.uri}`;
    if (method === "POST" && body === undefined) return "the engine shows no body: it is no JSON, or over a megabyte";
    if (note.body !== hashOfBody(body ?? Buffer.alloc(0))) return "the body is not the one that the note is for";
    if (!(note.expires > now)) return "the note has expired";
    if (!(note.expires <= now + NOTE_LIFE_MS + SKEW_MS)) return "the note is from the future: are both clocks right?";
    if (this.#used.has(note.nonce)) return "the note was used before";
    this.#remember(note, now);
    return undefined;
  }

  #remember({ nonce, expires }: AllowNote, now: number): void {
    for (const [used, until] of this.#used) if (until <= now) this.#used.delete(used);
    this.#used.set(nonce, expires);
  }
}

function asksForRollback(uri: string): boolean {
  const query = uri.slice(uri.indexOf("?") + 1);
  return uri.includes("?") && [...new URLSearchParams(query).keys()].some((name) => name.toLowerCase() === "rollback");
}
