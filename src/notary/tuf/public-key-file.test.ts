import { generateKeyPairSync } from "node:crypto";
import { describe, expect, it } from "vitest";
import { VerificationError } from "./error.ts";
import { canonicalKeyId, keyJson, spkiOf } from "./key.ts";
import { parsePublicKeyFile } from "./public-key-file.ts";
import { certificateFor } from "./testing/repository.ts";
import { ecdsaKey, ed25519Key, inCertificate, rsaKey, type TestKey } from "./testing/test-key.ts";

const pemOf = ({ publicKey }: Pick<TestKey, "publicKey">): string =>
  String(publicKey.export({ format: "pem", type: "spki" }));
const withHeaders = (pem: string, headers: string): string => pem.replace("KEY-----\n", `KEY-----\n${headers}\n`);
const certificateOf = (pair: TestKey): string => inCertificate(pair, certificateFor("ann")).key.publicBytes.toString();

describe("a file with a public key", () => {
  it.each([
    ["ECDSA P-256", ecdsaKey()],
    ["ECDSA P-521", ecdsaKey("secp521r1")],
    ["RSA", rsaKey()],
    ["Ed25519", ed25519Key()],
  ])("of %s is one key as PEM, with docker's header, and as JSON", (_what, pair) => {
    const plain = parsePublicKeyFile(pemOf(pair));
    const docker = parsePublicKeyFile(withHeaders(pemOf(pair), "role: ann\n"));
    const windows = parsePublicKeyFile(withHeaders(pemOf(pair), "role: ann\n").replaceAll("\n", "\r\n"));
    const json = parsePublicKeyFile(`${keyJson(pair.key)}\n`);

    for (const { key } of [plain, docker, windows, json]) expect(key.id).toBe(pair.key.id);
    expect([plain.role, docker.role, windows.role, json.role]).toEqual([undefined, "ann", "ann", undefined]);
  });

  it.each([
    ["ECDSA", ecdsaKey(), "ecdsa-x509"],
    ["RSA", rsaKey(), "rsa-x509"],
  ])("that is a certificate with an %s key is that key, under the id that docker makes of it", (_what, pair, type) => {
    const [own, ca] = [certificateOf(pair), certificateOf(ecdsaKey())];

    const { key } = parsePublicKeyFile(own);
    const spelled = parsePublicKeyFile(`\n${own.replaceAll("\n", "\r\n")}${ca}`);

    expect([key.type, spkiOf(key), canonicalKeyId(key)]).toEqual([type, spkiOf(pair.key), pair.key.id]);
    // Go reads the first certificate and writes it anew: lines of 64 characters, one newline at the end.
    expect(key.publicBytes.toString()).toMatch(
      /^-----BEGIN CERTIFICATE-----\n([^\n]{64}\n)+[^\n]{1,64}\n-----END CERT/,
    );
    expect(spelled.key.id).toBe(key.id);
  });

  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const encrypted = privateKey.export({ format: "pem", type: "pkcs8", cipher: "aes-256-cbc", passphrase: "x" });
  const json = keyJson(ecdsaKey().key);
  const small = Buffer.from(`01${"00".repeat(31)}`, "hex");
  it.each([
    ["a private key", String(privateKey.export({ format: "pem", type: "pkcs8" })), "MALFORMED"],
    ["an encrypted private key", String(encrypted), "MALFORMED"],
    ["a public key before a private one", pemOf(ecdsaKey()) + String(encrypted), "MALFORMED"],
    ["JSON with a private half", json.replace("null", '"AAAA"'), "MALFORMED"],
    ["JSON of something else", '{"keytype":"ecdsa"}', "MALFORMED"],
    ["JSON that is none", "{", "MALFORMED"],
    ["no key at all", "ssh-ed25519 AAAA ann@host", "MALFORMED"],
    ["two keys", pemOf(ecdsaKey()) + pemOf(ecdsaKey()), "MALFORMED"],
    ["PEM of something else", pemOf(ecdsaKey()).replaceAll("PUBLIC KEY", "EC PARAMETERS"), "MALFORMED"],
    ["another spelling of base64", pemOf(ecdsaKey()).replace("=\n-----END", "==\n-----END"), "MALFORMED"],
    ["bytes that are no key", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "KEY"],
    ["a short modulus", pemOf(rsaKey(1024)), "KEY"],
    ["a small exponent", pemOf(rsaKey(2048, 3)), "KEY"],
    ["an odd curve", pemOf(ecdsaKey("secp256k1")), "KEY"],
    ["a key that agrees and does not sign", pemOf(generateKeyPairSync("x25519")), "KEY"],
    [
      "a point of small order",
      JSON.stringify({ keytype: "ed25519", keyval: { public: small.toString("base64") } }),
      "KEY",
    ],
    ["a certificate with text beside it", `subject: ann\n${certificateOf(ecdsaKey())}`, "MALFORMED"],
    ["a certificate and text after it", `${certificateOf(ecdsaKey())}\nsubject: ann`, "KEY"],
  ])("is refused: %s", (_what, text, code) => {
    expect(() => parsePublicKeyFile(text)).toThrow(expect.objectContaining({ name: "VerificationError", code }));
  });

  it.each([
    ["PEM", pemOf(ecdsaKey())],
    ["RSA PEM", pemOf(rsaKey())],
    ["Ed25519 PEM", withHeaders(pemOf(ed25519Key()), "role: ann\n")],
    ["a certificate", certificateOf(ecdsaKey())],
    ["JSON", keyJson(rsaKey().key)],
    ["JSON of a certificate", keyJson(inCertificate(ecdsaKey(), certificateFor("ann")).key)],
  ])("that was damaged anywhere is refused, or still a key that can verify: %s", (_what, text) => {
    let isRefused = 0;
    for (let at = 0; at < text.length; at += 3) {
      const damaged = `${text.slice(0, at)}${"Ax/ \n{0\0"[at % 8]}${text.slice(at + (at % 2))}`;
      try {
        expect(spkiOf(parsePublicKeyFile(damaged).key)).toMatch(/^[0-9a-f]{64}$/);
      } catch (error) {
        if (!(error instanceof VerificationError)) throw error;
        isRefused++;
      }
    }

    expect(isRefused).toBeGreaterThan(text.length / 9);
  });
});
