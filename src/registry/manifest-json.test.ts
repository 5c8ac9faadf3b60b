import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { digestOf, type Image, OCI_MANIFEST, type Place, pushParts, putManifest } from "../testing/images.ts";
import { openTestApp, type TestApp } from "../testing/open-test-app.ts";

let app: TestApp;
let place: Place;
let image: Image;
/** `{"schemaVersion":2,…}` without its closing brace: what follows is up to the case. */
let open: string;
const PROTOTYPE = Object.getOwnPropertyNames(Object.prototype).sort();
beforeAll(async () => {
  app = await openTestApp();
  place = { app, as: "alice", repository: "alice/json" };
  image = await pushParts(place);
  open = JSON.stringify(image.manifest).slice(0, -1);
});
afterEach(() => {
  expect(Object.getOwnPropertyNames(Object.prototype).sort()).toEqual(PROTOTYPE);
  expect(({} as Record<string, unknown>).polluted).toBeUndefined();
});
afterAll(async () => {
  expect(app.errors()).toEqual([]);
  await app[Symbol.asyncDispose]();
});

const bytes = (text: string) => Buffer.from(text, "latin1");

describe("end-7 PUT of JSON that readers disagree about", () => {
  it.each<[string, () => string | Buffer]>([
    ["a key twice", () => `${open},"layers":[]}`],
    ["a key twice, once escaped", () => `${open},"l\\u0061yers":[]}`],
    ["an annotation twice", () => `${open},"annotations":{"a":"1","a":"2"}}`],
    ["a key twice where nobody looks", () => `${open},"x":{"y":[{"z":1,"z":2}]}}`],
    ["__proto__ twice", () => `${open},"__proto__":{},"__proto__":{}}`],
    ["Layers beside layers", () => `${open},"Layers":[]}`],
    ["LAYERS beside layers", () => `${open},"LAYERS":[]}`],
    ["layers with a long s", () => `${open},"layer\u017f":[]}`],
    ["a Kelvin sign in fsLayers' place", () => `${open},"\u212aonfig":1,"mediatype":"x"}`],
    ["Manifests in an image", () => `${open},"Manifests":[]}`],
    ["MediaType beside mediaType", () => `${open},"MediaType":"x"}`],
    ["Subject", () => `${open},"Subject":{}}`],
    ["SchemaVersion beside schemaVersion", () => `${open},"SchemaVersion":1}`],
    ["Digest in a descriptor", () => open.replace('"digest"', '"Digest":"sha256:0","digest"').concat("}")],
    ["ſize in a descriptor", () => open.replace('"size"', '"\u017fize":0,"size"').concat("}")],
    ["2^53+1", () => `${open},"x":9007199254740993}`],
    ["1e400", () => `${open},"x":1e400}`],
    ["-0", () => `${open},"x":-0}`],
    ["3.0", () => `${open},"x":3.0}`],
    ["1E2", () => `${open},"x":1E2}`],
    ["NaN", () => `${open},"x":NaN}`],
    ["Infinity", () => `${open},"x":Infinity}`],
    ["01", () => `${open},"x":01}`],
    ["+1", () => `${open},"x":+1}`],
    [".5", () => `${open},"x":.5}`],
    ["0x10", () => `${open},"x":0x10}`],
    ["a high surrogate alone", () => `${open},"annotations":{"a":"\\ud800"}}`],
    ["a low surrogate alone", () => `${open},"annotations":{"a":"\\udc00"}}`],
    ["a surrogate as key", () => `${open},"annotations":{"\\ud800":"a"}}`],
    ["bytes that are not UTF-8", () => bytes(`${open},"annotations":{"a":"\xff"}}`)],
    ["UTF-8 of a surrogate", () => bytes(`${open},"annotations":{"a":"\xed\xa0\x80"}}`)],
    ["UTF-8 longer than needed", () => bytes(`${open},"annotations":{"a":"\xc0\xaf"}}`)],
    ["a byte order mark", () => `\ufeff${open}}`],
    ["UTF-16", () => Buffer.from(`${open}}`, "utf16le")],
    ["UTF-16 with a mark", () => Buffer.from(`\ufeff${open}}`, "utf16le")],
    ["bytes after the end", () => `${open}}x`],
    ["a second document", () => `${open}}{}`],
    ["NUL after the end", () => `${open}}\0`],
    ["a comment", () => `${open}/* c */}`],
    ["a line comment", () => `${open}}// c`],
    ["a comma too many", () => `${open},}`],
    ["single quotes", () => `${open},'x':1}`],
    ["a key without quotes", () => `${open},x:1}`],
    ["a line break in a string", () => `${open},"x":"a\nb"}`],
    ["NUL in a string", () => `${open},"x":"a\0b"}`],
    ["an escape that JSON does not have", () => `${open},"x":"\\x41"}`],
    ["a no-break space between tokens", () => `${open},\u00a0"x":1}`],
    ["a form feed between tokens", () => `${open},\f"x":1}`],
    ["33 levels", () => `${open},"x":${"[".repeat(33)}${"]".repeat(33)}}`],
    ["100 levels", () => `${open},"x":${"[".repeat(100)}${"]".repeat(100)}}`],
    ["1,000,000 levels", () => `${open},"x":${"[".repeat(1_000_000)}${"]".repeat(1_000_000)}}`],
    ["3,000,000 brackets that never close", () => "[".repeat(3_000_000)],
    ["500,000 objects that never close", () => '{"a":'.repeat(500_000)],
    ["nothing", () => ""],
    ["white space", () => " \n\t"],
    ["null", () => "null"],
    ["a list", () => "[]"],
    ["a string", () => '"layers"'],
    ["a number", () => "2"],
    ["half of it", () => open],
    ["binary", () => Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xff])],
  ])("answers 400 MANIFEST_INVALID for %s, stores nothing and takes the next honest one", async (_what, body) => {
    const before = await app.stored();

    const answer = await putManifest(place, "hazard", body());

    expect([answer.status, answer.code]).toEqual([400, "MANIFEST_INVALID"]);
    expect(await app.stored()).toEqual(before);
    expect((await putManifest(place, "honest", image.manifest)).status).toBe(201);
  });

  it.each<[string, () => string]>([
    ["1,000,000 keys", () => `{${Array.from({ length: 1_000_000 }, (_, i) => `"${i}":0`).join(",")}}`],
    ["a string of 10 MiB", () => `{"a":"${"x".repeat(10 * 2 ** 20)}"}`],
    ["5,000,000 levels", () => "[".repeat(5_000_000)],
  ])("answers 413 for %s", async (_what, body) => {
    const before = await app.stored();

    const answer = await putManifest(place, "hazard", body());

    expect([answer.status, answer.code]).toEqual([413, "MANIFEST_INVALID"]);
    expect(await app.stored()).toEqual(before);
  });

  it.each<[string, () => string]>([
    [
      "__proto__ and constructor",
      () => `${open},"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}`,
    ],
    ["__proto__ as an annotation", () => `${open},"annotations":{"__proto__":"x","constructor":"y","toString":"z"}}`],
    ["annotations that differ in case", () => `${open},"annotations":{"layers":"a","Layers":"b","layer\u017f":"c"}}`],
    ["unknown keys, case and all", () => `${open},"x-Custom":{"Digest":1,"digest":2},"X-custom":[null,true,1.5]}`],
    ["strange white space and order", () => `\n\t {"x" :\r\n[ ] ,${open.slice(1)} } \n`],
    [
      "escapes, an emoji and U+2028",
      () => `${open},"annotations":{"a\\u002fb":"\\ud83d\\ude00 \u{1f600} \u2028 \\u2028"}}`,
    ],
    ["32 levels", () => `${open},"x":${"[".repeat(31)}${"]".repeat(31)}}`],
    [
      "100,000 annotations",
      () => {
        const entries = Array.from({ length: 100_000 }, (_, i) => `"k${i}":"v"`);
        return `${open},"annotations":{${entries.join(",")}}}`;
      },
    ],
    ["numbers that keep their value", () => `${open},"x":[0,-1,1.5,9007199254740991,-9007199254740991,1e-3]}`],
  ])("takes %s and serves the bytes as they came", async (_what, text) => {
    const body = Buffer.from(text());

    const put = await putManifest(place, "kept", body);

    expect([put.status, put.headers["docker-content-digest"]]).toEqual([201, digestOf(body)]);
    const back = await app.ask("GET", "/v2/alice/json/manifests/kept", { as: "alice" });
    expect(back.body.equals(body)).toBe(true);
  });

  it("shows __proto__ among the annotations of a referrer as the key it is", async () => {
    const subject = { mediaType: OCI_MANIFEST, digest: digestOf("subject"), size: 7 };
    const text = `${open},"subject":${JSON.stringify(subject)},"annotations":{"__proto__":"a","constructor":"b"}}`;
    await putManifest(place, "referrer", text);

    const answer = await app.ask("GET", `/v2/alice/json/referrers/${subject.digest}`, { as: "alice" });

    expect(answer.body.toString()).toContain('"annotations":{"__proto__":"a","constructor":"b"}');
  });
});

describe("PUT /api/v1/users/{u} of JSON that readers disagree about", () => {
  it.each<[string, string | Buffer]>([
    ["a key twice", '{"password":"first password","password":"second password"}'],
    ["another case", '{"Password":"first password"}'],
    ["__proto__", '{"password":"first password","__proto__":{"polluted":1}}'],
    ["constructor", '{"password":"first password","constructor":{"prototype":{"polluted":1}}}'],
    ["an unknown key", '{"password":"first password","role":"admin"}'],
    ["a key of the row", '{"password":"first password","systemAdmin":true}'],
    ["a lone surrogate", '{"password":"first password\\ud800"}'],
    ["a byte order mark", '\ufeff{"password":"first password"}'],
    ["bytes that are not UTF-8", bytes('{"password":"first password\xff"}')],
    ["UTF-16", Buffer.from('{"password":"first password"}', "utf16le")],
    ["bytes after the end", '{"password":"first password"}}'],
    ["a comment", '{"password":"first password"/**/}'],
    ["NaN", '{"password":NaN}'],
    ["a list", '["first password"]'],
    ["null", "null"],
    ["nothing", ""],
    ["a password that is a number", '{"password":12345678}'],
    ["10,000 levels", `{"password":${"[".repeat(10_000)}${"]".repeat(10_000)}}`],
  ])("answers 400 invalid-request for %s and makes nobody", async (_what, body) => {
    const answer = await app.ask("PUT", "/api/v1/users/carol", { as: "admin", body });

    expect([answer.status, answer.code]).toEqual([400, "invalid-request"]);
    const rows = await app.database.query("", "select 1 from users where name = 'carol'");
    expect(rows).toEqual([]);
  });

  it("answers 413 body-too-large for more than 64 KiB", async () => {
    const body = JSON.stringify({ password: "x".repeat(64 * 1024) });

    const answer = await app.ask("PUT", "/api/v1/users/carol", { as: "admin", body });

    expect([answer.status, answer.code]).toEqual([413, "body-too-large"]);
  });
});
