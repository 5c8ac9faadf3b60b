import { createPrivateKey, createPublicKey, randomBytes, sign } from "node:crypto";
import { z } from "zod";
import { canonicalKeyId, type Key } from "../../notary/tuf/key.ts";
import { keyOfSpki } from "../../notary/tuf/public-key-file.ts";
import { sha256Of } from "../../notary/tuf/signed-file.ts";
import { parseEnvelope, signEnvelope, verifyEnvelope } from "../../trust/dsse.ts";
import { readStrict } from "../../trust/strict-json.ts";

/** The header of a call to an engine that carries the bridge's note on it; as Go spells headers. */
export const NOTE_HEADER = "Goldseal-Allow";
export const NOTE_TYPE = "goldseal.allow/v1";

/** How long a note is good: it is written just before the call. */
export const NOTE_LIFE_MS = 30_000;

const noteSchema = z.strictObject({
  method: z.string(),
  /** Path and query, exactly as they are sent. */
  uri: z.string(),
  /** SHA-256 of the body's bytes; of none where there is no body. */
  body: z.string().regex(/^[0-9a-f]{64}$/),
  /** 128 bits. */
  nonce: z.string().regex(/^[A-Za-z0-9_-]{22}$/),
  /** Milliseconds since 1970. */
  expires: z.int(),
});

/** What the bridge says of one call. */
export type AllowNote = z.infer<typeof noteSchema>;

export interface EngineCall {
  readonly method: string;
  readonly uri: string;
  readonly body: Uint8Array;
}

export const hashOfBody = (body: Uint8Array): string => sha256Of(body).toString("hex");

/** Writes notes with the bridge's own key. @see docs/decisions/0052 */
export class NoteWriter {
  readonly #keyId: string;
  readonly #sign: (message: Uint8Array) => Uint8Array;
  readonly #now: () => Date;

  /** @param pem a private key, Ed25519. @throws Error for anything else */
  constructor(pem: string, now: () => Date) {
    const key = createPrivateKey(pem);
    if (key.asymmetricKeyType !== "ed25519") throw new Error("the key that notes are signed with must be Ed25519");
    const spki = createPublicKey(key).export({ format: "der", type: "spki" });
    this.#keyId = canonicalKeyId(keyOfSpki(spki));
    this.#sign = (message) => sign(null, message, key);
    this.#now = now;
  }

  /** The value of {@link NOTE_HEADER} for this call and no other. */
  write({ method, uri, body }: EngineCall): string {
    const note: AllowNote = {
      ...{ method, uri, body: hashOfBody(body), nonce: randomBytes(16).toString("base64url") },
      expires: this.#now().getTime() + NOTE_LIFE_MS,
    };
    const signer = { keyId: this.#keyId, sign: this.#sign };
    return signEnvelope(NOTE_TYPE, Buffer.from(JSON.stringify(note)), [signer]).toString("base64url");
  }
}

/** What one of `keys` has signed; whether it is about this call, and still good, is not looked at. @throws TrustError */
export function openNote(text: string, keys: readonly Key[]): AllowNote {
  const envelope = parseEnvelope(Buffer.from(text, "base64url"));
  verifyEnvelope(envelope, { payloadType: NOTE_TYPE, keys, threshold: 1 });
  return readStrict(envelope.payload, noteSchema, "the note");
}
