import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { KEY, type Opening, usePullLab } from "./testing/pull-lab.ts";

const lab = usePullLab();
const passwordOf = (auth = ""): string => JSON.parse(Buffer.from(auth, "base64url").toString()).password;

describe("before a deployment", () => {
  it("the bridge gets a secret for the service, asks for the image with it, and sends it along", async () => {
    const bridge = await lab().openBridge();

    const auth = await lab().deploy(bridge);

    const sent = JSON.parse(Buffer.from(auth ?? "", "base64url").toString());
    expect(sent).toEqual({
      username: expect.stringMatching(/^alice\+pull-/),
      password: expect.stringMatching(/^gsb_/),
      serveraddress: lab().authority,
    });
    // What Go's URL encoding reads.
    expect(auth).toMatch(/^[A-Za-z0-9_-]+={0,2}$/);
    expect((auth ?? "").length % 4).toBe(0);
    expect(lab().engine.asked).toEqual([
      `GET /distribution/${lab().pinned()}/json`,
      "GET /services",
      "POST /services/create",
    ]);
    expect(lab().engine.auths).toEqual([auth, undefined, auth]);
    expect(bridge.announced).toEqual([lab().pinned()]);
    expect(bridge.states.all()).toMatchObject([{ ...KEY, username: sent.username, isApplied: true }]);
  });

  it("the secret is written down nowhere", async () => {
    const bridge = await lab().openBridge();
    const auth = await lab().deploy(bridge);
    lab().later(13);
    await bridge.keeper.tend(KEY);

    const names = await readdir(lab().store, { recursive: true, withFileTypes: true });
    const files = names.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
    const texts = [...lab().lines, ...(await Promise.all(files.map((file) => readFile(file, "utf8"))))].join("\n");

    expect(files.length).toBeGreaterThan(1);
    for (const secret of [passwordOf(auth), passwordOf(lab().updates()[0]), auth ?? "", lab().updates()[0] ?? ""])
      expect(texts).not.toContain(secret);
  });

  it("the same secret goes along while it is young, another one after half of its life or for another repository", async () => {
    const bridge = await lab().openBridge();
    const [first, second] = [await lab().deploy(bridge), await lab().deploy(bridge, "two")];
    const other = await lab().deploy(bridge, "three", lab().pinned("alice/open"));
    lab().later(13);
    const old = await lab().deploy(bridge, "four", lab().pinned("alice/open"));

    expect(second).toBe(first);
    expect(new Set([first, other, old]).size).toBe(3);
  });

  it("it is refused, with the registry's words, where the cluster cannot pull", async () => {
    const bridge = await lab().openBridge();
    lab().engine.pull = async () => ({ status: 401, message: "unauthorized: no such robot" });

    await expect(lab().deploy(bridge)).rejects.toMatchObject({
      code: "REGISTRY",
      message: `the cluster cannot pull ${lab().pinned()}: unauthorized: no such robot (401)`,
    });
    lab().engine.pull = async () => ({ status: 200, digest: `sha256:${"b".repeat(64)}` });
    await expect(lab().deploy(bridge)).rejects.toMatchObject({
      code: "REGISTRY",
      message: /would pull sha256:bbb.* as /,
    });
    expect(lab().engine.services.size).toBe(0);
  });

  it("the cluster is asked once a minute for an image that it was given, whatever the service", async () => {
    const bridge = await lab().openBridge();
    const asked = () => lab().engine.asked.filter((call) => call.includes("/distribution/")).length;
    const { pull } = lab().engine;
    lab().engine.pull = async () => ({ status: 401, message: "unauthorized" });
    for (let round = 0; round < 2; round++)
      await expect(lab().deploy(bridge)).rejects.toMatchObject({ code: "REGISTRY" });
    expect(asked()).toBe(2);
    lab().engine.pull = pull;
    for (const service of ["one", "two"]) await lab().deploy(bridge, service);
    expect(asked()).toBe(3);

    await lab().deploy(bridge, "three", lab().pinned("alice/open"));
    expect(asked()).toBe(4);
    lab().later(61 / 3600);
    await lab().deploy(bridge, "four");
    expect(asked()).toBe(5);
    lab().later(-2);
    await lab().deploy(bridge, "five");
    expect(asked()).toBe(6);
  });

  it("waits for what else must come about, whose refusal comes first, and leaves what runs as it is then", async () => {
    const bridge = await lab().openBridge();
    await lab().deploy(bridge);
    const before = bridge.states.all();
    lab().later(13);
    lab().engine.pull = async () => ({ status: 401, message: "unauthorized" });
    const { promise, reject } = Promise.withResolvers<unknown>();
    const preparing = bridge.keeper.prepare({ ...KEY, pinned: lab().pinned() }, promise);
    await expect.poll(() => lab().engine.asked.filter((asked) => asked.includes("/distribution/")).length).toBe(2);
    reject(new Error("no node for it"));

    await expect(preparing).rejects.toThrow("no node for it");
    expect(bridge.states.all()).toEqual(before);
  });

  it("a secret whose service comes to nothing is taken back", async () => {
    const bridge = await lab().openBridge();
    const auths: (string | undefined)[] = [];
    const { pull } = lab().engine;
    lab().engine.pull = async (_reference, auth) => {
      auths.push(auth);
      return { status: 401, message: "unauthorized" };
    };
    await expect(lab().deploy(bridge)).rejects.toMatchObject({ code: "REGISTRY" });
    lab().engine.pull = pull;
    const worked = await lab().works(auths[0]);
    const another = await lab().openBridge();

    for (const key of another.keeper.due()) await another.keeper.tend(key);

    expect([worked, await lab().works(auths[0]), another.states.all()]).toEqual([true, false, []]);
  });

  it.each<[string, Opening, RegExp]>([
    ["no account", { as: "nobody" }, /has no account/],
    ["an account that is not the bridge's", { as: "bob" }, /answered 403 \(signed in as bob\): bob is not the account/],
    [
      "a password that is wrong",
      { password: "another one" },
      /did not take the password of \w+; it is tried again in \d+ s$/,
    ],
  ])("with %s it goes on without a secret only where anybody can pull", async (_what, opening, why) => {
    const bridge = await lab().openBridge(opening);

    const auth = await lab().deploy(bridge, "one", lab().pinned("alice/open"));
    const closed = lab().deploy(bridge, "two", lab().pinned("alice/web"));

    await expect(closed).rejects.toMatchObject({ code: "REGISTRY", message: expect.stringMatching(why) });
    expect([auth, bridge.states.all(), bridge.keeper.findFaults()]).toEqual([undefined, [], []]);
    expect(lab().engine.images).toEqual({ web: lab().pinned("alice/open") });
  });
});

describe("a service that is gone", () => {
  it("has its secrets taken back", async () => {
    const bridge = await lab().openBridge();
    const auth = await lab().deploy(bridge);
    lab().engine.services.clear();

    await bridge.keeper.tend(KEY);

    expect([await lab().works(auth), bridge.keeper.due()]).toEqual([false, []]);
    expect(bridge.journal.records.at(-1)).toMatchObject({ event: "pull-secret-revoked", ...KEY });
    expect((await lab().openBridge()).states.all()).toEqual([]);
  });

  it("has them taken back later when the registry is away", async () => {
    const bridge = await lab().openBridge();
    const auth = await lab().deploy(bridge);
    lab().engine.services.clear();
    lab().setRegistry("away");
    await bridge.keeper.tend(KEY);
    expect([bridge.keeper.findFaults().length, bridge.keeper.due().length]).toEqual([1, 1]);
    lab().setRegistry("back");

    await bridge.keeper.tend(KEY);

    expect([await lab().works(auth), bridge.keeper.due(), bridge.keeper.findFaults()]).toEqual([false, [], []]);
  });

  it("keeps them while the engine does not answer", async () => {
    const bridge = await lab().openBridge();
    const auth = await lab().deploy(bridge);
    lab().engine.attack = (_method, _path, response) => {
      response.destroy();
      return true;
    };

    await bridge.keeper.tend(KEY);

    lab().engine.attack = () => false;
    expect([await lab().works(auth), bridge.keeper.due().length]).toEqual([true, 1]);
  });

  it("and made again in another environment has nothing of the first", async () => {
    const bridge = await lab().openBridge();
    const auth = await lab().deploy(bridge);
    const service = lab().engine.find("web");
    Object.assign(service?.Spec.Labels ?? {}, { "goldseal.environment": "test" });

    await bridge.keeper.tend(KEY);

    expect([await lab().works(auth), bridge.keeper.due()]).toEqual([false, []]);
  });
});
