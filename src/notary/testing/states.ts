import { afterAll, beforeAll, expect } from "vitest";
import { digestOf, pushParts, putManifest } from "../../testing/images.ts";
import { openTestApp, PUBLIC_URL, type TestApp } from "../../testing/open-test-app.ts";
import { possessionMessage } from "../../trust/possession.ts";
import { spkiOf } from "../tuf/key.ts";
import { put } from "../tuf/testing/loose.ts";
import { signBytes, type TestKey } from "../tuf/testing/test-key.ts";
import type { UploadedPart } from "../tuf/upload.ts";
import type { Signer } from "./signer.ts";

/** A server for the tests of one file, in which alice pushes and signs; nothing may be logged as an error. */
export function useStates() {
  let app: TestApp;
  const clock: { now: Date | undefined } = { now: undefined };
  beforeAll(async () => {
    app = await openTestApp({}, () => clock.now ?? new Date());
  });
  afterAll(async () => {
    expect(app.errors()).toEqual([]);
    await app[Symbol.asyncDispose]();
  });

  return {
    app: () => app,
    clock,
    rest: async (path: string, as = "alice", method = "GET") => {
      const { status, body, headers } = await app.ask(method, `/api/v1/orgs/alice/repositories/${path}`, { as });
      return { status, headers, body: body.length === 0 ? undefined : JSON.parse(body.toString()) };
    },
    /** Pushes an image under the tag; its digest, as a target names it. */
    push: async (repository: string, tag: string, name = tag) => {
      const place = { app, as: "alice", repository: `alice/${repository}` };
      const { manifest } = await pushParts(place, name);
      const text = JSON.stringify(manifest);
      expect((await putManifest(place, tag, text)).status).toBe(201);
      const digest = digestOf(text);
      return { digest, target: targetOf(digest, text.length) };
    },
    prove: (user: string, pair: TestKey) => prove(app, user, pair),
  };
}

export const targetOf = (digest: string, length = 7) => ({
  hashes: { sha256: Buffer.from(digest.slice("sha256:".length), "hex").toString("base64") },
  length,
});

export async function taken(signer: Signer, parts: readonly UploadedPart[]): Promise<void> {
  const { status, body } = await signer.publish(parts);
  expect([status, body.toString()]).toEqual([200, ""]);
}

export const sign = (signer: Signer, tag: string, target: unknown) =>
  taken(signer, [signer.part("targets", put(["targets", tag], target))]);

/** The key becomes the user's, as `goldseal key add` and `prove` do it. */
export async function prove(app: TestApp, user: string, pair: TestKey): Promise<void> {
  const publicKey = String(pair.publicKey.export({ format: "pem", type: "spki" }));
  const spkiSha256 = String(spkiOf(pair.key));
  const send = async (method: string, path: string, body: object = {}) => {
    const answer = await app.ask(method, `/api/v1/users/${user}/keys${path}`, { as: user, body: JSON.stringify(body) });
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${answer.body}`);
    return JSON.parse(answer.body.toString());
  };
  await send("POST", "", { name: "laptop", publicKey });
  const answer = await app.ask("POST", `/api/v1/users/${user}/keys/${spkiSha256}/challenge`, { as: user });
  const { challenge } = JSON.parse(answer.body.toString());
  const message = possessionMessage({ server: PUBLIC_URL, user, spkiSha256, challenge });
  const signature = signBytes(pair.privateKey, pair.method, message).toString("base64");
  await send("PUT", `/${spkiSha256}/proof`, { method: pair.method, signature });
}
