import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Answer, Ask } from "./testing/http-client.ts";
import { OCI_MANIFEST, type Place, pushParts, putManifest } from "./testing/images.ts";
import { basic, openTestApp, type TestApp } from "./testing/open-test-app.ts";

const password = `canary-${randomBytes(12).toString("hex")}`;
const wrong = `canary-${randomBytes(12).toString("hex")}`;
const form = { "content-type": "application/x-www-form-urlencoded" };

let app: TestApp;
/** What must be seen nowhere. */
const secrets = new Set<string>([password, wrong, basic("carol", password), basic("carol", wrong)]);
const answers: Answer[] = [];
beforeAll(async () => {
  app = await openTestApp();
});
afterAll(() => app[Symbol.asyncDispose]());

async function ask(method: string, path: string, request: Ask = {}): Promise<Answer> {
  const answer = await app.ask(method, path, request);
  answers.push(answer);
  return answer;
}

async function signIn(): Promise<{ token: string; refreshToken: string }> {
  const scope = "scope=repository:carol/app:pull,push,delete&scope=registry:catalog:*";
  const authorization = basic("carol", password);
  const answer = await app.ask("GET", `/token?offline_token=true&${scope}`, { headers: { authorization } });
  const { token, refresh_token: refreshToken } = JSON.parse(answer.body.toString());
  for (const secret of [token, refreshToken]) secrets.add(secret);
  return { token, refreshToken };
}

/** The signature alone would do to forge; the two halves of Basic too. */
function forms(secret: string): string[] {
  const bare = secret.replace(/^\w+ /, "");
  return [bare, encodeURIComponent(bare), Buffer.from(bare).toString("base64"), bare.split(".").at(-1) ?? bare];
}

it("lets no password, token or Authorization header into a log line, an error or /metrics", async () => {
  await ask("PUT", "/api/v1/users/carol", { as: "admin", body: JSON.stringify({ password }) });
  const { token, refreshToken } = await signIn();
  const bearer = { authorization: `Bearer ${token}` };
  const place: Place = { app, as: "alice", repository: "alice/app" };
  const { manifest } = await pushParts(place);

  await putManifest(place, "v1", manifest);
  const refresh = (more: string) =>
    ask("POST", "/token", { headers: form, body: `grant_type=refresh_token&refresh_token=${refreshToken}${more}` });
  secrets.add(
    JSON.parse(
      (
        await app.ask("POST", "/token", {
          headers: form,
          body: `grant_type=refresh_token&refresh_token=${refreshToken}`,
        })
      ).body.toString(),
    ).token,
  );
  for (const more of ["&service=other", "&client_id=%00", "&client_id=other", "&grant_type=x"]) await refresh(more);
  for (const body of [`password=${wrong}`, `grant_type=password&username=carol&password=${wrong}`])
    await ask("POST", "/token", { headers: form, body });
  for (const authorization of [basic("carol", wrong), `Bearer ${token}x`, `Bearer ${wrong}`, `Basic ${wrong}`, wrong]) {
    for (const path of ["/v2/", "/v2/carol/app/tags/list", "/token", "/api/v1/users"])
      await ask("GET", path, { headers: { authorization } });
  }
  for (const path of [`/v2/?token=${token}`, `/token?password=${wrong}&account=carol`, "/v2/alice/app/tags/list"])
    await ask("GET", path, { headers: bearer });
  await ask("PUT", "/v2/carol/app/manifests/v1", { headers: { ...bearer, "content-type": OCI_MANIFEST }, body: wrong });
  for (const body of [`{"password":"${wrong}","x":1}`, `{"password":"${wrong}"`, `{"password":["${wrong}"]}`])
    await ask("PUT", "/api/v1/users/carol", { headers: { authorization: basic("carol", password) }, body });
  // A fault of ours: what is unknown goes into the log with its stack.
  await app.database.query("", "alter table refresh_tokens rename to mislaid");
  expect((await refresh("")).status).toBe(500);

  const metrics = await app.ask("GET", "/metrics");
  const seen = [JSON.stringify(app.log), metrics.body.toString(), ...answers.map(({ body }) => body.toString())];
  expect(answers.filter(({ status }) => status >= 400).length).toBeGreaterThan(30);
  expect(app.log.length).toBeGreaterThan(30);
  for (const secret of secrets)
    for (const text of forms(secret)) expect(seen.filter((one) => one.includes(text))).toEqual([]);
});
