import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { networkOf, sealedOf, serviceOf, taskOf, volumeOf } from "../../cluster-bridge/testing/cluster-entries.ts";
import { SECRET, useClusterLab } from "../../cluster-bridge/testing/cluster-lab.ts";
import { openTestApp, PASSWORD, type TestApp } from "../../testing/open-test-app.ts";
import { bob } from "../../trust/testing/signers.ts";
import { runCli } from "../main.ts";

const lab = useClusterLab(["m1", "w1"]);
let app: TestApp;

/** The registry between the command line and the bridge; orders are of now. */
beforeEach(async () => {
  lab().beginToday();
  await writeFile(join(lab().lab.folder, "secret"), `${SECRET}\n`);
  const key = bob.privateKey.export({ format: "pem", type: "pkcs8" });
  await writeFile(join(lab().lab.folder, "bob.key"), key, { mode: 0o600 });
  app = await openTestApp({
    ...{ GOLDSEAL_BRIDGE_URL: lab().url, GOLDSEAL_BRIDGE_SECRET_FILE: join(lab().lab.folder, "secret") },
  });
});
afterEach(() => app[Symbol.asyncDispose]());

async function goldseal(line: string, { as = "bob", stdin = "" } = {}) {
  const io = { stdin: new PassThrough(), stdout: new PassThrough(), stderr: new PassThrough() };
  const told = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const)
    io[name].on("data", (piece: Buffer) => {
      told[name] += piece;
    });
  io.stdin.end(stdin);
  const env = {
    ...{ GOLDSEAL_PUBLIC_URL: `http://127.0.0.1:${app.port}`, GOLDSEAL_PASSWORD: PASSWORD, GOLDSEAL_DATA: "/none" },
    DOCKER_CONFIG: lab().lab.folder,
  };
  const status = await runCli([...line.split(" "), "--as", as], env, io);
  await new Promise(setImmediate);
  return { status, out: told.stdout, err: told.stderr };
}

const ordered = (line: string, options = {}) =>
  goldseal(`${line} --environment prod --key ${join(lab().lab.folder, "bob.key")}`, options);

describe("what looks at the cluster", () => {
  it("shows tables to people, and lines of JSON to programs", async () => {
    lab().cluster.add("services", serviceOf("web", { environment: "prod", stack: "shop", replicas: 2 }));
    lab().cluster.add("tasks", taskOf("web", "w1"), taskOf("web", "m1", { slot: 2, state: "starting" }));
    lab().cluster.add("networks", networkOf("backend", { environment: "prod", more: { Internal: true } }));
    lab().cluster.add("secrets", sealedOf("key", { environment: "prod" }));

    expect((await goldseal("services ls")).out).toMatch(
      /^web {2}prod {2}shop {2}1\/2 {2}- {2}- {2}registry.test\/ops\/app@sha256:d+\n$/,
    );
    expect(JSON.parse((await goldseal("services ls --environment prod --json")).out)).toMatchObject({
      name: "web",
      running: 1,
    });
    expect((await goldseal("services inspect web")).out).toMatch(/^running +1$/m);
    expect((await goldseal("services ps web --node w1")).out).toMatch(/^web\.1 {2}w1 {2}running {2}running /);
    expect((await goldseal("networks ls")).out).toBe("backend  prod  -  10.0.9.0/24  internal  nobody\n");
    expect((await goldseal("secrets ls")).out).toMatch(/^key {2}prod /);
    const nodes = (await goldseal("nodes ls")).out.split("\n");
    expect(nodes[0]).toMatch(
      /^m1 {2}ready {2}active {2}manager \(leader\) {2}2 of 2 {2}4\.0 GiB of 4\.0 GiB {2}1 {2}20\.10\.24\S+ {2}off {2}ready/,
    );
    expect((await goldseal("nodes inspect w1")).out).toMatch(/^role +worker$/m);
  });

  it("finds volumes, and says which node did not answer", async () => {
    const [manager, worker] = lab().cluster.nodes;
    if (manager !== undefined) manager.volumes = [volumeOf("certs", { labels: { kind: "tls" } }), volumeOf("data")];
    if (worker !== undefined)
      worker.attack = (_method, path, response) => path === "/info" && response.destroy() && true;

    const found = await goldseal("volumes search cert --label kind=tls --orphaned");

    expect(found).toMatchObject({ status: 0, out: "certs  m1  local  -  nobody  kind=tls\n" });
    expect(found.err).toMatch(/^node w1 did not answer, and what it holds is not shown: /);
  });

  it("says who may not, and what is not there", async () => {
    expect(await goldseal("nodes ls", { as: "admin" })).toMatchObject({
      status: 1,
      err: expect.stringContaining("admin may view no environment"),
    });
    expect(await goldseal("services inspect nothing")).toMatchObject({
      status: 1,
      err: expect.stringContaining("there is no service nothing"),
    });
    expect(await goldseal("nodes inspect w9")).toMatchObject({
      status: 1,
      err: "goldseal: the cluster has no node w9\n",
    });
  });
});

describe("what changes the cluster", () => {
  it("makes and removes networks", async () => {
    const made = await ordered(
      "networks create backend --internal --subnets 10.20.0.0/24,10.21.0.0/24 --labels team=ops",
    );
    expect(made).toMatchObject({ status: 0, err: "made the network backend\n" });
    expect(lab().cluster.lists.networks).toMatchObject([
      {
        Internal: true,
        Attachable: false,
        Labels: { team: "ops" },
        IPAM: { Config: [{}, { Subnet: "10.21.0.0/24" }] },
      },
    ]);

    lab().cluster.add("services", serviceOf("web", { networks: ["backend"] }));
    expect(await ordered("networks rm backend")).toMatchObject({
      status: 1,
      err: expect.stringMatching(
        /is used by service web \(409 conflict\)\n.* ls shows what is in the way, and who uses it\n/,
      ),
    });
    lab().cluster.lists.services = [];
    expect(await ordered("networks rm backend")).toMatchObject({ status: 0, err: "removed the network backend\n" });
  });

  it("writes secrets from standard input, byte for byte, and shows them never", async () => {
    const sent: string[] = [];
    const [manager] = lab().cluster.nodes;
    if (manager !== undefined) manager.onBody = (line, body) => void sent.push(`${line} ${JSON.stringify(body)}`);

    expect(await ordered("secrets create key -", { stdin: "two\nlines\n" })).toMatchObject({
      status: 0,
      err: "wrote the secret key\n",
    });
    expect(sent.join()).toContain(Buffer.from("two\nlines\n").toString("base64"));
    expect(await ordered("secrets rm key")).toMatchObject({ status: 0 });
    expect(await ordered("configs create key /none")).toMatchObject({
      status: 1,
      err: "goldseal: cannot read /none\n",
    });
  });

  it("changes a node's labels, availability and role", async () => {
    await ordered("nodes update w1 --labels zone=a,old=x");
    const outcome = await ordered(
      "nodes update w1 --labels tier=prod --remove-labels old --availability drain --role manager",
    );

    expect(outcome).toMatchObject({ status: 0, err: "changed the node w1\n" });
    expect(lab().cluster.nodes[1]?.entry.Spec).toEqual({
      ...{ Labels: { zone: "a", tier: "prod" }, Availability: "drain", Role: "manager" },
    });
    expect(await ordered("nodes update w1 --labels zone")).toMatchObject({ status: 2 });
  });
});
