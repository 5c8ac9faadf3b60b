import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { beforeEach, describe, expect, it } from "vitest";
import { keyOfSpki } from "../../notary/tuf/public-key-file.ts";
import { signEnvelope } from "../../trust/dsse.ts";
import { NOTE_TYPE, NoteWriter } from "./allow-note.ts";
import { type AskedCall, Gate } from "./gate.ts";

const pair = generateKeyPairSync("ed25519");
const pemOf = (key: KeyObject): string => key.export({ format: "pem", type: "pkcs8" }).toString();
const publicKey = keyOfSpki(pair.publicKey.export({ format: "der", type: "spki" }));
let now = new Date("2026-11-23T12:00:00Z");
const writer = new NoteWriter(pemOf(pair.privateKey), () => now);
let gate: Gate;

beforeEach(() => {
  now = new Date("2026-11-23T12:00:00Z");
  gate = new Gate([publicKey], () => now);
});

const CREATE = "/v1.41/services/create";
const signed = Buffer.from('{"TaskTemplate":{"ContainerSpec":{"Image":"r/a@sha256:1"}}}');
const asked = (call: Partial<AskedCall> = {}): AskedCall => ({
  ...{ method: "POST", uri: CREATE, note: undefined, body: signed },
  ...call,
});
const noted = (uri = CREATE, body: Buffer = signed, method = "POST"): string => writer.write({ method, uri, body });

describe("Gate", () => {
  it("lets pass what the bridge wrote a note on, once", () => {
    const note = noted();

    expect(gate.judge(asked({ note }))).toBeUndefined();
    expect(gate.judge(asked({ note }))).toBe("the note was used before");
    expect(gate.judge(asked({ note: noted() }))).toBeUndefined();
  });

  it.each<[string, string]>([
    ["a key in another case", '{"TaskTemplate":{},"tasktemplate":{"containerspec":{"image":"evil"}}}'],
    ["a key that Unicode folds", '{"TaskTemplate":{},"Ta\\u017fkTemplate":{"ContainerSpec":{"Image":"evil"}}}'],
    ["a key twice", '{"TaskTemplate":{"ContainerSpec":{"Mounts":[]}},"TaskTemplate":{"ContainerSpec":{}}}'],
    ["one space more", ` ${signed}`],
  ])("denies bytes that the note is not for: %s", (_what, body) => {
    expect(gate.judge(asked({ note: noted(), body: Buffer.from(body) }))).toBe(
      "the body is not the one that the note is for",
    );
  });

  it("denies a rollback by the engine, even with a note", () => {
    const uri = "/v1.41/services/web/update?version=3&rollback=previous";

    for (const spelled of [uri, uri.replace("rollback", "r%6fllback"), uri.replace("rollback", "Rollback")])
      expect(gate.judge(asked({ uri: spelled, note: noted(spelled) }))).toBe(
        "a rollback by the engine is never let pass",
      );
  });

  it("denies a note for another call", () => {
    const update = "/v1.41/services/web/update?version=3";

    expect(gate.judge(asked({ uri: `${update}4`, note: noted(update) }))).toBe(`the note is for POST ${update}`);
    expect(gate.judge(asked({ method: "DELETE", note: noted() }))).toBe(`the note is for POST ${CREATE}`);
  });

  it("denies a body that the engine does not show, also where the note is for none", () => {
    const why = "the engine shows no body: it is no JSON, or over a megabyte";

    expect(gate.judge(asked({ note: noted(), body: undefined }))).toBe(why);
    expect(gate.judge(asked({ note: noted(CREATE, Buffer.alloc(0)), body: undefined }))).toBe(why);
  });

  it("lets the bridge remove, where no body is", () => {
    const uri = "/v1.41/services/web";

    const call = { method: "DELETE", uri, body: undefined };
    expect(gate.judge(asked({ ...call, note: noted(uri, Buffer.alloc(0), "DELETE") }))).toBeUndefined();
    expect(gate.judge(asked(call))).toBe("DELETE /services/web is for the Goldseal bridge alone");
  });

  it("takes a note for half a minute", () => {
    const [early, late] = [noted(), noted()];
    now = new Date(now.getTime() + 29_999);
    expect(gate.judge(asked({ note: early }))).toBeUndefined();

    now = new Date(now.getTime() + 1);
    expect(gate.judge(asked({ note: late }))).toBe("the note has expired");
    now = new Date(now.getTime() - 61_000);
    expect(gate.judge(asked({ note: late }))).toBe("the note is from the future: are both clocks right?");
  });

  it("takes a note of no key but the bridge's, and nothing else for one", () => {
    const stranger = new NoteWriter(pemOf(generateKeyPairSync("ed25519").privateKey), () => now);
    const byStranger = stranger.write({ method: "POST", uri: CREATE, body: signed });
    expect(gate.judge(asked({ note: byStranger }))).toBe(
      "the note does not hold: signed by 0 of the keys that count, 1 must",
    );
    const other = signEnvelope("goldseal.policy/v1", Buffer.from("{}"), []).toString("base64url");
    for (const note of ["", "x", "%%%", other, noted().slice(4)])
      expect(gate.judge(asked({ note }))).toMatch(/^the note does not hold: /);
    expect(NOTE_TYPE).toBe("goldseal.allow/v1");
  });

  it.each([
    ["POST", "/v1.41/containers/create"],
    ["POST", "/containers/create?name=x"],
    ["POST", "/v1.41/containers/cre%61te"],
    ["POST", "/v9.9/services/create"],
    ["POST", "/v1.41/containers/x/start"],
    ["POST", "/v1.41/containers/x/restart"],
    ["POST", "/v1.41/containers/x/update"],
    ["POST", "/v1.41/containers/x/exec"],
    ["POST", "/v1.41/exec/x/start"],
    ["POST", "/v1.41/containers/x/attach"],
    ["PUT", "/v1.41/containers/x/archive?path=/"],
    ["GET", "/v1.41/containers/x/attach/ws"],
    ["POST", "/v1.41/build"],
    ["POST", "/v1.41/commit?container=x"],
    ["POST", "/v1.41/images/create?fromSrc=-"],
    ["POST", "/v1.41/images/load"],
    ["POST", "/v1.41/images/x/tag"],
    ["POST", "/v1.41/plugins/pull?remote=x"],
    ["POST", "/v1.41/plugins/x/enable"],
    ["POST", "/v1.41/session"],
    ["POST", "/v1.41/grpc"],
    ["POST", "/v1.41/services/x/update?version=1&rollback=previous"],
    ["POST", "/v1.41/networks/create"],
    ["POST", "/v1.41/volumes/create"],
    ["POST", "/v1.41/secrets/create"],
    ["POST", "/v1.41/configs/create"],
    ["POST", "/v1.41/nodes/x/update?version=1"],
    ["POST", "/v1.41/swarm/update?version=1"],
    ["POST", "/v1.41/swarm/join"],
    ["DELETE", "/v1.41/services/x"],
    ["GET", "/v1.41/swarm"],
    ["GET", "/v1.41/swarm/unlockkey"],
    ["PATCH", "/v1.41/info"],
    ["POST", "/v1.41/something/that/comes/next/year"],
    ["POST", "/v1.41/next-year/containers/x/stop"],
    ["POST", "/v1.41/containers/x/stop/exec"],
  ])("denies without a note: %s %s", (method, uri) => {
    expect(gate.judge(asked({ method, uri }))).toMatch(/ is for the Goldseal bridge alone$/);
  });

  it.each([
    ["GET", "http://engine/v1.41/info"],
    ["GET", "//v1.41/info"],
    ["GET", "/v1.41/containers/../swarm"],
    ["GET", "/v1.41/images/%2e%2e/json"],
    ["GET", "/v1.41/images/%zz/json"],
    ["GET", "/v1.41/images/a%0ab/json"],
    ["GET", ""],
  ])("denies what is no path: %s %s", (method, uri) => {
    expect(gate.judge(asked({ method, uri }))).toBe("this is no path of the engine's");
  });

  it.each([
    ["HEAD", "/_ping"],
    ["GET", "/v1.41/version"],
    ["GET", "/v1.41/services?filters=%7B%7D"],
    ["GET", "/v1.41/services/web/logs?stdout=1"],
    ["GET", "/v1.41/tasks"],
    ["GET", "/v1.41/containers/json?all=1"],
    ["GET", "/v1.41/containers/0a1b/json"],
    ["GET", "/v1.41/images/10.0.0.1:5000%2Fops%2Fapp@sha256:ab/json"],
    ["GET", "/v1.41/distribution/10.0.0.1:5000/ops/app:1/json"],
    ["GET", "/v1.41/volumes"],
    ["POST", "/v1.41/auth"],
    ["POST", "/v1.41/containers/x/stop?t=1"],
    ["DELETE", "/v1.41/containers/x?force=1"],
    ["DELETE", "/v1.41/images/10.0.0.1:5000/ops/app:1"],
  ])("lets anybody look, and end what runs here: %s %s", (method, uri) => {
    expect(gate.judge(asked({ method, uri, body: undefined }))).toBeUndefined();
  });
});
