/**
 * Goldseal ships itself: its own image is built, pushed to itself, signed, and `deploy/stack.yml` deployed by its own bridge. What
 * runs then is a registry of its own, and a bridge that knows its cluster.
 */
import { randomBytes } from "node:crypto";
import { copyFileSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ANN } from "../../clients/world.ts";
import type { Report } from "../../harness/report.ts";
import { projectRoot } from "../../harness/server.ts";
import { findTool, getTool, mustRun } from "../../harness/tools.ts";
import { askEngine, until } from "../lab/engine.ts";
import { equal, running } from "../looking.ts";
import { makeKey } from "../signing.ts";
import { BRIDGE, OLGA } from "../world/people.ts";
import { PolicyBook } from "../world/policy-book.ts";
import type { World } from "../world.ts";
import { ADMIN, ShippedStack } from "./shipped-stack.ts";

const REPOSITORY = "vault/goldseal";
const STACK = "goldseal";

export async function shipping(world: World, report: Report): Promise<void> {
  const missing = ["buildah", "debootstrap", "skopeo", "minio"].filter((tool) => findTool(tool) === undefined);
  if (missing.length > 0) return report.skip("shipping", `${missing.join(", ")} not found`);
  const archive = join(world.folder, "goldseal-image.tar");
  let id = "";
  await report.check("shipping: the image is built from scratch", async () => {
    const printed = await mustRun(join(projectRoot, "deploy", "build-image"), [archive], { timeoutSeconds: 600 });
    id = /^(sha256:[0-9a-f]{64}) /.exec(printed)?.[1] ?? "";
    if (id === "") throw new Error(printed);
  });
  if (id === "") return;
  const stack = await ShippedStack.prepare(world, world.image("1", REPOSITORY));
  try {
    const digest = await checkSigned(report, world, { archive, id });
    await checkDeployed(report, world, { stack, pinned: world.pin(digest, REPOSITORY) });
    await checkRegistry(report, world, stack);
    await checkBridge(report, world, stack);
  } finally {
    await world.change("stack.remove", { name: STACK }).catch(() => undefined);
    await stack.close();
  }
}

interface Built {
  readonly archive: string;
  /** Of the image, as it was built. */
  readonly id: string;
}

/** Its digest; no digest when it did not come so far. */
async function checkSigned(report: Report, world: World, { archive, id }: Built): Promise<string> {
  let digest = "";
  await report.check("shipping: pushed to Goldseal, signed, and nothing else than what was built", async () => {
    await world.found("vault");
    digest = await push(world, archive);
    const manifest = JSON.parse(await world.api("GET", `/v2/${REPOSITORY}/manifests/${digest}`));
    equal(manifest.config.digest, id);
    await world.goldseal("trust", "init", `${world.server.host}/${REPOSITORY}`);
    await world.sign("1", REPOSITORY);
    world.pinAlso(REPOSITORY);
    await world.stopBridge();
    await world.startBridge();
  });
  return digest;
}

/** As docs/deploying.md says of the policy. */
function limitsOf(stack: ShippedStack): object {
  const secrets = [...readFileSync(stack.file, "utf8").matchAll(/source: (goldseal-[\w.-]+)/g)].map(([, name]) => name);
  return { command: true, secrets: [...new Set(secrets)], configs: ["goldseal-settings"] };
}

interface Deployed {
  readonly stack: ShippedStack;
  readonly pinned: string;
}

async function checkDeployed(report: Report, world: World, { stack, pinned }: Deployed): Promise<void> {
  await report.check(
    "shipping: deploy/stack.yml is deployed: two registries and a bridge run, of what was signed, and are healthy",
    async () => {
      await world.setPolicy(limitsOf(stack));
      await world.operate("prod", "stack", "deploy", "-c", stack.file, STACK);
      const found = await Promise.all(["registry", "bridge"].map((name) => running(world, `${STACK}_${name}`)));
      equal(
        found.map((containers) => containers.map(({ image }) => image)),
        [[pinned, pinned], [pinned]],
      );
      for (const { node, id } of found.flat()) await mustBeHealthy(world, node, id);
    },
  );
}

async function checkRegistry(report: Report, world: World, stack: ShippedStack): Promise<void> {
  await report.check("shipping: what is pushed to one replica is pulled from the other", async () => {
    const ips = (await running(world, `${STACK}_registry`)).map(({ node }) => world.lab.node(node).ip);
    const [one = "", two = ""] = ips;
    const bytes = randomBytes(1000).toString("hex");
    const hash = (await mustRun("sha256sum", [], { input: bytes })).slice(0, 64);
    const type = "application/octet-stream";
    await ask(stack, {
      ip: one,
      method: "POST",
      path: `/v2/admin/x/blobs/uploads/?digest=sha256:${hash}`,
      type,
      bytes,
    });
    equal(await ask(stack, { ip: two, path: `/v2/admin/x/blobs/sha256:${hash}` }), bytes);
  });
  await report.check("shipping: docker on one node pushes to it, and on another pulls from it", async () => {
    const host = world.lab.gateway;
    world.lab.trustRegistry(host, stack.ca);
    const [near, far] = [world.lab.node("m1"), world.lab.node("w2")];
    await world.signIn(near, ADMIN, host);
    await world.dockerOn(near, "tag", world.image("1"), `${host}/admin/web:1`);
    const pushed = await world.dockerOn(near, "push", `${host}/admin/web:1`);
    const [digest] = /sha256:[0-9a-f]{64}/.exec(pushed.split("digest: ")[1] ?? "") ?? [pushed];
    const pulled = await world.dockerOn(far, "pull", `${host}/admin/web:1`);
    equal(/^Digest: (.*)$/m.exec(pulled)?.[1], digest);
  });
}

async function checkBridge(report: Report, world: World, stack: ShippedStack): Promise<void> {
  const rest = (method: string, path: string, body: string, user = ADMIN): Promise<string> =>
    ask(stack, { ip: world.lab.gateway, method, path, type: "application/json", bytes: body, user });
  await report.check(
    "shipping: the bridge that was deployed shows its cluster to whom the policy lets look",
    async () => {
      for (const { name, password } of [OLGA, BRIDGE])
        await rest("PUT", `/api/v1/users/${name}`, JSON.stringify({ password }));
      const policies = new PolicyBook({ officer: world.officer, operator: world.operator });
      await rest("PUT", "/api/v1/policies/bridge", policies.next(makeKey().spki, {}, {}));
      const nodes = await until("it has read the policy", async () => {
        const told = await ask(stack, { ip: world.lab.gateway, path: "/api/v1/cluster/nodes", user: OLGA });
        return JSON.parse(told).nodes as readonly { readonly name: string }[];
      });
      equal(nodes.map(({ name }) => name).sort(), world.lab.nodes.map(({ name }) => name).sort());
    },
  );
}

interface Ask {
  /** Of the one that is asked. */
  readonly ip: string;
  readonly path: string;
  /** Default GET. */
  readonly method?: string;
  readonly type?: string;
  readonly bytes?: string;
  /** Default: the administrator. */
  readonly user?: typeof ADMIN;
}

function ask({ ca }: ShippedStack, { ip, path, method = "GET", type, bytes, user = ADMIN }: Ask): Promise<string> {
  const who = ["-u", `${user.name}:${user.password}`];
  const body = bytes === undefined ? [] : ["-H", `content-type: ${type}`, "--data-binary", "@-"];
  const args = ["-sS", "--fail-with-body", "--cacert", ca, ...who, "-X", method, ...body, `https://${ip}${path}`];
  return mustRun("curl", args, { input: bytes ?? "" });
}

/** skopeo copies the archive as it is; the layers get their digests there. */
async function push(world: World, archive: string): Promise<string> {
  const certificates = join(world.folder, "certificates");
  mkdirSync(certificates, { recursive: true });
  copyFileSync(world.server.caPath, join(certificates, "ca.crt"));
  const file = join(world.folder, "digest");
  const args = ["--dest-cert-dir", certificates, "--dest-creds", `${ANN.name}:${ANN.password}`, "--digestfile", file];
  const to = `docker://${world.image("1", REPOSITORY)}`;
  await mustRun(getTool("skopeo"), ["copy", "--quiet", ...args, `docker-archive:${archive}`, to], {
    timeoutSeconds: 300,
  });
  return readFileSync(file, "utf8").trim();
}

/** As its own health check finds, and nobody's root. */
async function mustBeHealthy(world: World, node: string, id: string): Promise<void> {
  const look = async () =>
    (await askEngine(world.lab.node(node).socketPath, "GET", `/containers/${id}/json`)) as {
      readonly State: { readonly Health?: { readonly Status: string } };
      readonly Config: { readonly User: string };
    };
  equal((await look()).Config.User, "10001:10001");
  await until(`${id} is healthy`, async () => (await look()).State.Health?.Status === "healthy");
}
