/** Files and keys that the real clients and servers made: docker CLI 28.2.2, notary 0.7.0, notary-server 0.7.0. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { canonicalKeyId, type Key, makeKey, verifySignature } from "./key.ts";
import { parseSignedFile, sha256Of, sha512Of, toFileBytes } from "./signed-file.ts";
import { type RoleKeys, verifyRole } from "./verify.ts";

interface Vector {
  readonly keytype: string;
  readonly method: string;
  readonly file: string;
  readonly key: { readonly keytype: string; readonly keyval: { readonly public: string } };
  readonly keyId: string;
  readonly keyIdInput?: string;
  readonly canonicalKeyId: string;
  readonly fileBytes: string;
  readonly length: number;
  readonly sha256hex: string;
  readonly sha512base64: string;
  readonly signature: string;
  readonly signatureBytes: number;
}

interface Escaping extends Vector {
  readonly canonicalSigned: string;
  readonly canonicalSignedHexSha256: string;
}

const { vectors, escaping } = JSON.parse(
  readFileSync(join(import.meta.dirname, "testing/data/vectors.json"), "utf8"),
) as { vectors: Vector[]; escaping: Escaping };

const keyOf = ({ key }: Vector): Key => makeKey(key.keytype, Buffer.from(key.keyval.public, "base64"));
const roleOf = (key: Key): RoleKeys => ({ keyIds: [key.id], threshold: 1, keys: new Map([[key.id, key]]) });
const titled = (all: readonly Vector[]) => all.map((vector) => [`${vector.keytype} ${vector.file}`, vector] as const);

describe("vectors of the real clients", () => {
  it("are all there", () => {
    expect(vectors.map(({ keytype }) => keytype).sort()).toEqual(["ecdsa", "ecdsa-x509", "ed25519", "rsa", "rsa-x509"]);
  });

  it.each(titled(vectors))("key ids of %s", (_title, vector) => {
    const key = keyOf(vector);

    expect(key.id).toBe(vector.keyId);
    expect(canonicalKeyId(key)).toBe(vector.canonicalKeyId);
    if (vector.keyIdInput) expect(createHash("sha256").update(vector.keyIdInput).digest("hex")).toBe(key.id);
  });

  it.each(titled([...vectors, escaping]))("hashes, canonical form and signature of %s", (_title, vector) => {
    const bytes = Buffer.from(vector.fileBytes);
    const file = parseSignedFile(bytes);
    const [signature] = file.signatures;

    expect(sha256Of(bytes).toString("hex")).toBe(vector.sha256hex);
    expect(toFileBytes(file.message, file.signatures).equals(bytes)).toBe(true);
    expect(Buffer.from(signature?.sig ?? []).toString("base64")).toBe(vector.signature);
    expect(() => verifyRole(file, vector.file, roleOf(keyOf(vector)))).not.toThrow();
  });

  it.each(titled(vectors))("sizes of %s, whose canonical form is a part of the file", (_title, vector) => {
    const bytes = Buffer.from(vector.fileBytes);
    const { message, signatures } = parseSignedFile(bytes);

    expect(bytes.length).toBe(vector.length);
    expect(sha512Of(bytes).toString("base64")).toBe(vector.sha512base64);
    expect(signatures[0]?.sig.length).toBe(vector.signatureBytes);
    expect(Buffer.from(message).toString()).toBe(/^\{"signed":(.*),"signatures":/.exec(vector.fileBytes)?.[1]);
  });

  it("escapes in the file what it signs as it is", () => {
    const { message } = parseSignedFile(Buffer.from(escaping.fileBytes));

    expect(Buffer.from(message).toString()).toBe(escaping.canonicalSigned);
    expect(sha256Of(message).toString("hex")).toBe(escaping.canonicalSignedHexSha256);
  });

  it.each(titled(vectors))("no changed bit of %s verifies", (_title, vector) => {
    const key = keyOf(vector);
    const { message, signatures } = parseSignedFile(Buffer.from(vector.fileBytes));
    const sig = Buffer.from(signatures[0]?.sig ?? []);

    for (let bit = 0; bit < sig.length * 8; bit += 7) {
      const changed = Buffer.from(sig);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(verifySignature(key, vector.method, message, changed)).toBe(false);
    }
    expect(verifySignature(key, vector.method, Buffer.concat([message, Buffer.from(" ")]), sig)).toBe(false);
  });
});
