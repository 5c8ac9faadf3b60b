import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Image, OCI_INDEX, OCI_MANIFEST, type Place, pushParts, putManifest } from "../testing/images.ts";
import { openTestApp, type TestApp } from "../testing/open-test-app.ts";

let app: TestApp;
let place: Place;
let image: Image;
const before = [Object.prototype, Array.prototype, Function.prototype].map((prototype) =>
  Object.getOwnPropertyNames(prototype),
);
beforeAll(async () => {
  app = await openTestApp();
  place = { app, as: "alice", repository: "alice/prototype" };
  image = await pushParts(place);
});
afterAll(async () => {
  expect(app.errors()).toEqual([]);
  await app[Symbol.asyncDispose]();
});

/** JSON texts full of the keys that turn a careless copy into a change of every object. */
const key = fc.constantFrom(
  '"__proto__"',
  '"constructor"',
  '"prototype"',
  '"\\u005f_proto__"',
  '"polluted"',
  '"layers"',
  '"toString"',
);
const hostile = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom("true", "1", '"x"', "null"),
    fc.array(tie("value"), { maxLength: 3 }).map((values) => `[${values.join(",")}]`),
    fc
      .array(fc.tuple(key, tie("value")), { maxLength: 3 })
      .map((members) => `{${members.map((m) => m.join(":")).join(",")}}`),
  ),
})).value;

describe("the process that answers", () => {
  it("has the same prototypes after whatever JSON it was sent, in the process itself", async () => {
    const open = (document: object) => JSON.stringify(document).slice(0, -1);
    const subject = { mediaType: OCI_MANIFEST, digest: image.config.digest, size: 1 };
    const text = fc.tuple(fc.nat({ max: 5 }), key, hostile).map(([how, name, value]) => [how, name, value] as const);
    await fc.assert(
      fc.asyncProperty(text, async ([how, name, value]) => {
        if (how === 0) await putManifest(place, "t", `${open(image.manifest)},${name}:${value}}`);
        if (how === 1) await putManifest(place, "t", `${open({ ...image.manifest, subject })},"annotations":${value}}`);
        if (how === 2)
          await putManifest(place, "t", `{"schemaVersion":2,${name}:${value}}`, { contentType: OCI_INDEX });
        if (how === 3) await app.ask("PUT", "/api/v1/users/alice", { as: "alice", body: `{${name}:${value}}` });
        if (how === 4)
          await app.ask("PUT", "/api/v1/orgs/alice/repositories/prototype", {
            as: "alice",
            body: `{"visibility":"private",${name}:${value}}`,
          });
        if (how === 5) {
          const headers = { "content-type": "application/x-www-form-urlencoded" };
          await app.ask("POST", "/token", {
            headers,
            body: `${encodeURIComponent(name.slice(1, -1))}=${encodeURIComponent(value)}&__proto__[polluted]=1`,
          });
          await app.ask("GET", `/v2/alice/prototype/tags/list?__proto__=${encodeURIComponent(value)}&constructor=1`, {
            as: "alice",
          });
        }
        await app.ask("GET", `/v2/alice/prototype/referrers/${subject.digest}`, { as: "alice" });

        expect(({} as Record<string, unknown>).polluted).toBeUndefined();
        expect(
          [Object.prototype, Array.prototype, Function.prototype].map((prototype) =>
            Object.getOwnPropertyNames(prototype),
          ),
        ).toEqual(before);
      }),
      { numRuns: 400 },
    );
  });
});
