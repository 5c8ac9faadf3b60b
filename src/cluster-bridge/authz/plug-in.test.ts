import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { createServer, request as httpRequest, type IncomingMessage } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startAuthzPlugIn } from "../../authz-plugin.ts";
import { createLog } from "../../http/log.ts";
import { EngineClient } from "../engine-client.ts";
import { type RunningPlugIn, startPlugIn } from "./plug-in.ts";

const pair = generateKeyPairSync("ed25519");
let folder: string;
let socket: string;
let plugIn: RunningPlugIn;
let logged: string[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "gs-authz-"));
  socket = join(folder, "plugins", "goldseal.sock");
  await writeFile(join(folder, "allow.pub"), pair.publicKey.export({ format: "pem", type: "spki" }));
  await writeFile(join(folder, "allow.key"), pair.privateKey.export({ format: "pem", type: "pkcs8" }));
  logged = [];
  plugIn = await start();
});
afterEach(async () => {
  await plugIn.stop();
  await rm(folder, { recursive: true });
});

const start = (): Promise<RunningPlugIn> =>
  startAuthzPlugIn(
    { socket, keyFiles: [join(folder, "allow.pub")] },
    createLog({ write: (line) => void logged.push(line) }),
  );

async function ask(path: string, body: string | Buffer): Promise<unknown> {
  const request = httpRequest({ socketPath: socket, method: "POST", path, agent: false });
  request.end(body);
  const [answer]: IncomingMessage[] = await once(request, "response");
  return JSON.parse(await textOf(answer as IncomingMessage));
}

async function textOf(message: IncomingMessage): Promise<string> {
  return (await message.toArray()).join("");
}

const about = (call: object): string => JSON.stringify({ RequestMethod: "GET", RequestUri: "/v1.41/info", ...call });
const failed = { Allow: false, Msg: "the plug-in could not judge it" };

describe("the plug-in", () => {
  it("says what it is, judges what is asked, and nothing that is done", async () => {
    expect(await ask("/Plugin.Activate", "{}")).toEqual({ Implements: ["authz"] });
    expect(await ask("/AuthZPlugin.AuthZReq", about({}))).toEqual({ Allow: true });
    expect(await ask("/AuthZPlugin.AuthZRes", about({}))).toEqual({ Allow: true });
  });

  it("denies, and writes down what", async () => {
    const call = { RequestMethod: "POST", RequestUri: "/v1.41/services/create", RequestBody: "e30=" };

    const reason = "POST /services/create is for the Goldseal bridge alone";
    expect(await ask("/AuthZPlugin.AuthZReq", about(call))).toEqual({ Allow: false, Msg: reason });
    expect(logged.map((line) => JSON.parse(line))).toMatchObject([
      { event: "authz.denied", method: "POST", uri: "/v1.41/services/create", reason },
    ]);
  });

  it.each<[string, string | Buffer]>([
    ["nothing", ""],
    ["no JSON", "{"],
    ["no object", "[]"],
    ["no method", '{"RequestUri":"/info"}'],
    ["a method twice", '{"RequestMethod":"GET","RequestMethod":"POST","RequestUri":"/info"}'],
    ["a path that is none", '{"RequestMethod":"GET","RequestUri":7}'],
    ["more than it takes", Buffer.alloc(5 * 1024 * 1024, " ")],
  ])("denies when it is asked with %s", async (_what, body) => {
    expect(await ask("/AuthZPlugin.AuthZReq", body)).toEqual(failed);
  });

  it("denies what it was never asked before", async () => {
    expect(await ask("/AuthZPlugin.Whatever", about({}))).toEqual(failed);
  });

  it("hangs up on who never ends its question", async () => {
    const impatient = join(folder, "impatient.sock");
    const [gate, log] = [{ judge: () => undefined }, createLog({ level: "off" })];
    const another = await startPlugIn({ socket: impatient, gate, log, patienceMs: 100 });
    const client = connect(impatient);
    client.write("POST /AuthZPlugin.AuthZReq HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{");

    expect((await client.toArray()).join("")).toMatch(/^HTTP\/1.1 408 /);
    await another.stop();
  });

  it("is root's alone, takes the place of one that was killed, and of none that lives", async () => {
    expect((await stat(socket)).mode & 0o777).toBe(0o600);
    await expect(start()).rejects.toThrow(`another plug-in listens on ${socket} already`);
    await plugIn.stop();
    await writeFile(socket, "");

    plugIn = await start();

    expect(await ask("/Plugin.Activate", "{}")).toEqual({ Implements: ["authz"] });
  });
});

describe("the bridge's engine client", () => {
  it("sends what the plug-in lets pass: the exact bytes, with a note on them", async () => {
    const engine = createServer(async (request, response) => {
      const body = Buffer.from(await textOf(request)).toString("base64");
      // As Go spells them.
      const headers = { "Goldseal-Allow": request.headers["goldseal-allow"] };
      const call = { RequestMethod: request.method, RequestUri: request.url, RequestHeaders: headers };
      const verdict = await ask("/AuthZPlugin.AuthZReq", about({ ...call, ...(body && { RequestBody: body }) }));
      response.end(JSON.stringify(verdict));
    }).listen(join(folder, "engine.sock"));
    await once(engine, "listening");
    const client = await EngineClient.open({
      ...{ kind: "unix", socket: join(folder, "engine.sock"), allowKeyFile: join(folder, "allow.key") },
    });

    const body = Buffer.from('{"Name":"wéb"}');
    const answers = [
      await client.call("POST", "/services/create", { body }),
      await client.call("POST", "/services/x/update?version=1", { body }),
      await client.call("DELETE", "/services/x"),
      await client.call("GET", "/swarm"),
    ];

    expect(answers.map((answer) => answer.body)).toEqual(answers.map(() => ({ Allow: true })));
    engine.close();
  });
});
