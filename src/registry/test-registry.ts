import { expect } from "vitest";
import type { Answer } from "../testing/http-client.ts";
import { type Image, type Place, pushParts, putManifest } from "../testing/images.ts";
import { openTestApp, type TestApp } from "../testing/open-test-app.ts";

/** A server, and a repository of alice's that holds the parts of `image`. */
export async function openWithImage(repository: string): Promise<{ app: TestApp; place: Place; image: Image }> {
  const app = await openTestApp();
  const place = { app, as: "alice", repository };
  return { app, place, image: await pushParts(place) };
}

/** The end of a file's tests: nothing that the server did was an error of its own. */
export async function closeWithoutErrors(app: TestApp): Promise<void> {
  expect(app.errors()).toEqual([]);
  await app[Symbol.asyncDispose]();
}

/** Refused with exactly this, nothing stored, and the honest manifest is taken right after. */
export async function expectRefused(
  { app, place, image }: { readonly app: TestApp; readonly place: Place; readonly image: Image },
  attempt: () => Promise<Answer>,
  status: number,
  code: string,
): Promise<Answer> {
  const before = await app.stored();
  const answer = await attempt();
  expect([answer.status, answer.code]).toEqual([status, code]);
  expect(await app.stored()).toEqual(before);
  const honest = await putManifest(place, `honest-${Math.random()}`.replace("0.", ""), image.manifest);
  expect(honest.status).toBe(201);
  return answer;
}

export const octets = { "content-type": "application/octet-stream" };

/** A chunk for the upload at `path`. */
export function patchUpload(app: TestApp, path: string, body: string, contentRange?: string, as = "alice") {
  const headers = { ...octets, ...(contentRange === undefined ? {} : { "content-range": contentRange }) };
  return app.ask("PATCH", path, { as, headers, body });
}

/** The end of the upload at `path`. */
export function putUpload(
  app: TestApp,
  path: string,
  digest: string,
  body = "",
  headers: Record<string, string> = {},
): Promise<Answer> {
  return app.ask("PUT", `${path}?digest=${digest}`, { as: "alice", headers: { ...octets, ...headers }, body });
}
