/**
 * Stacks: a compose file by one order. Everything of it comes up or nothing is made, what fails is rolled back by itself, and what
 * docker's own client would make of the same file is what is made, but for what the bridge does otherwise on purpose.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Report } from "../../harness/report.ts";
import { launcher, projectRoot } from "../../harness/server.ts";
import { mustRun } from "../../harness/tools.ts";
import { askEngine, type Loose, listOf, until } from "../lab/engine.ts";
import { equal, inspectService, journal, running } from "../looking.ts";
import type { Answer, World } from "../world.ts";

const SERVES = "mkdir -p /www; echo $0 >/www/index.html; httpd -f -p 80 -h /www & trap exit TERM; wait";
const LIMITS = { command: true, secrets: ["shop_key", "ours_key"], configs: ["shop_conf", "ours_conf"] };
const PARTS = ["networks", "secrets", "configs"] as const;

export async function stacks(world: World, report: Report): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "goldseal-stack-"));
  try {
    await new Stacks(world, report, folder).check();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

class Stacks {
  readonly #world: World;
  readonly #report: Report;
  readonly #folder: string;

  constructor(world: World, report: Report, folder: string) {
    [this.#world, this.#report, this.#folder] = [world, report, folder];
  }

  async check(): Promise<void> {
    const [web, db] = [await this.#release("s1"), await this.#release("s2")];
    await this.#world.setPolicy(LIMITS);
    await this.#checkLife(web, db);
    await this.#checkKilled();
    await this.#checkRemoval();
    await this.#checkAgreement();
  }

  async #release(tag: string, command = SERVES): Promise<string> {
    const digest = await this.#world.push(tag, command);
    await this.#world.sign(tag);
    return this.#world.pin(digest);
  }

  /** Of two services on a network of their own; `web` has a secret. */
  #file(web: string, { key = "first", more = "" } = {}): string {
    writeFileSync(join(this.#folder, "key.txt"), key);
    return `
services:
  web:
    image: ${this.#world.image(web)}
    networks: [back]
    secrets: [key]
    deploy: {endpoint_mode: dnsrr, replicas: 2, update_config: {monitor: 2s}}
  db:
    image: ${this.#world.image("s2")}
    networks: {back: {aliases: [database]}}
    deploy: {endpoint_mode: dnsrr}
${more}
networks: {back: {attachable: true}}
secrets: {key: {file: ./key.txt}}
`;
  }

  /** What the command line makes of a file: what is signed. */
  async #toStack(text: string, name: string): Promise<Loose> {
    const file = join(this.#folder, "stack.yml");
    writeFileSync(file, text);
    return JSON.parse(await mustRun("node", [launcher, "stack", "config", "-c", file, name], { cwd: projectRoot }));
  }

  async #deploy(text: string, { name = "shop", prune = false } = {}): Promise<Answer> {
    return this.#world.change("stack.deploy", { ...(await this.#toStack(text, name)), prune });
  }

  async #checkLife(web: string, db: string): Promise<void> {
    const [world, report] = [this.#world, this.#report];
    await report.check("a stack with two services and a network of their own runs, by the digests that were signed", async () => {
      const { last } = await this.#deploy(this.#file("s1"));
      equal(last, {
        outcome: {
          ...{ kind: "done", stack: "shop" },
          services: { shop_web: { kind: "deployed", pinned: web }, shop_db: { kind: "deployed", pinned: db } },
          removed: [],
        },
      });
      equal(await this.#images("shop_web"), [web, web]);
      equal(await this.#images("shop_db"), [db]);
    });
    await report.check("its services find each other by their short names and aliases", async () => {
      for (const name of ["db", "database", "web"]) await this.#inside("shop_web", "nslookup", name);
    });
    await report.check("a secret of a file is where its service looks for it, and other content is another secret", async () => {
      equal(await this.#inside("shop_web", "cat", "/run/secrets/key"), "first");
      equal(outcomeOf(await this.#deploy(this.#file("s1", { key: "second" }))), "done");
      equal(await this.#inside("shop_web", "cat", "/run/secrets/key"), "second");
      equal((await this.#names("secrets")).length, 2);
    });
    await this.#checkRefused();
    await this.#release("sbad", "exit 3");
    await report.check("an update of one service that fails is rolled back, and the other one stays as it was ordered", async () => {
      const { last } = await this.#deploy(this.#file("sbad", { key: "second" }));
      const { kind, services } = (last?.outcome ?? {}) as { kind?: string; services?: Record<string, Loose> };
      equal([kind, services?.shop_web?.kind, services?.shop_web?.rolledBackTo], ["failed", "failed", web]);
      equal([services?.shop_db?.kind, services?.shop_db?.pinned], ["deployed", db]);
      equal(await this.#images("shop_web"), [web, web]);
    });
    await report.check("what the file has no longer is removed with prune, and not without", async () => {
      const job = `  job:\n    image: ${world.image("s2")}\n    deploy: {endpoint_mode: dnsrr}`;
      equal(outcomeOf(await this.#deploy(this.#file("s1", { key: "second", more: job }))), "done");
      await this.#deploy(this.#file("s1", { key: "second" }));
      equal(await this.#services("shop"), ["shop_db", "shop_job", "shop_web"]);
      const { last } = await this.#deploy(this.#file("s1", { key: "second" }), { prune: true });
      equal(outcomeOf({ last }), "done");
      equal(await this.#services("shop"), ["shop_db", "shop_web"]);
      equal([(await this.#names("secrets")).length, await this.#names("networks")], [1, ["shop_back"]]);
    });
  }

  async #checkRefused(): Promise<void> {
    await this.#report.check("a stack of which one image is not signed is refused, and nothing of it is made", async () => {
      await this.#world.push("sunsigned", SERVES);
      const before = await this.#all();
      const more = `  job:\n    image: ${this.#world.image("sunsigned")}\n    networks: [other]`;
      const text = this.#file("s2", { key: "third", more }).replace("networks: {back", "networks: {other: {}, back");
      const { status, last } = await this.#deploy(text);
      equal([status, last?.code, String(last?.detail).startsWith("shop_job: ")], [403, "unsigned", true]);
      equal(await this.#all(), before);
    });
  }

  async #checkKilled(): Promise<void> {
    const world = this.#world;
    for (const point of ["bridge.afterStackParts", "bridge.afterStackServices"])
      await this.#report.check(`killed at ${point}: the next bridge makes the rest of the stack`, async () => {
        const name = point.slice("bridge.".length).toLowerCase();
        await world.setPolicy({ ...LIMITS, secrets: [...LIMITS.secrets, `${name}_key`] });
        await world.stopBridge();
        await world.startBridge({ GOLDSEAL_FAILPOINT: `${point}:1` });
        const asked = await this.#deploy(this.#file("s1"), { name }).catch(() => undefined);
        if (asked !== undefined) throw new Error(`it was not killed: ${JSON.stringify(asked)}`);
        await world.startBridge();
        const isOver = (): boolean => journal(world).some((line) => line.event === "stack-ended" && isOf(line.services, name));
        await until(`the stack ${name} is at its end`, async () => isOver(), 60);
        equal(await this.#services(name), [`${name}_db`, `${name}_web`]);
        equal(journal(world).filter(({ event, service }) => event === "intent" && service === `${name}_web`).length, 1);
        equal(outcomeOf(await world.change("stack.remove", { name })), "done");
      });
  }

  async #checkRemoval(): Promise<void> {
    await this.#report.check("a stack is removed with all that is its own, and the network only after who used it", async () => {
      const { last } = await this.#world.change("stack.remove", { name: "shop" });
      equal(outcomeOf({ last }), "done");
      equal([await this.#services("shop"), await this.#all()], [[], []]);
      equal((last?.outcome as Loose).left, []);
    });
  }

  /** The same file by docker's own client, under another name. */
  async #checkAgreement(): Promise<void> {
    const [world, text] = [this.#world, this.#wide()];
    await this.#report.check("docker's own client makes the same of the same file: names, labels, aliases and all else", async () => {
      const { last } = await this.#deploy(text, { name: "ours" });
      equal(outcomeOf({ last }), "done");
      await world.docker("stack", "deploy", "-c", join(this.#folder, "stack.yml"), "--with-registry-auth", "them");
      for (const service of ["web", "db"]) equal(await this.#plain(`ours_${service}`), await this.#plain(`them_${service}`));
      for (const kind of PARTS) equal(await this.#plainParts(kind, "ours"), await this.#plainParts(kind, "them"));
    });
    await world.docker("stack", "rm", "them");
    equal(outcomeOf(await world.change("stack.remove", { name: "ours" })), "done");
  }

  #wide(): string {
    writeFileSync(join(this.#folder, "key.txt"), "s3cret");
    writeFileSync(join(this.#folder, "web.env"), "FROM_FILE=1\nCOLOUR=red\n");
    return `
version: "3.8"
services:
  web:
    image: ${this.#world.image("s1")}
    environment: {COLOUR: blue, N: 1}
    env_file: web.env
    labels: {tier: front}
    hostname: web
    init: true
    stop_grace_period: 3s
    stop_signal: SIGTERM
    read_only: true
    tmpfs: /www
    ports: [{target: 80, published: 18085, mode: host}]
    networks: {front: {aliases: [www]}, back: }
    secrets: [key]
    configs: [{source: conf, target: /conf, mode: 0440}]
    volumes: ["data:/data", {type: volume, source: data, target: /again, read_only: true, volume: {nocopy: true}}]
    healthcheck: {test: [CMD, /bin/busybox, "true"], interval: 5s, timeout: 2s, retries: 2, start_period: 1s}
    extra_hosts: ["other:10.0.0.9"]
    dns: [10.0.0.53]
    cap_drop: [NET_RAW]
    logging: {driver: json-file, options: {max-size: 1m}}
    deploy:
      endpoint_mode: dnsrr
      replicas: 1
      labels: {who: ann}
      resources: {limits: {cpus: "0.5", memory: 64M}, reservations: {memory: 16M}}
      restart_policy: {condition: on-failure, delay: 2s, max_attempts: 9, window: 30s}
      placement: {constraints: [node.role==manager], max_replicas_per_node: 1}
  db:
    image: ${this.#world.image("s2")}
    command: [/bin/busybox, sh, -c, "while :; do sleep 1; done"]
    deploy: {endpoint_mode: dnsrr, mode: global, restart_policy: {condition: any, delay: 1s}}
networks:
  front: {driver_opts: {com.docker.network.driver.mtu: "1400"}, labels: {a: b}}
  back: {internal: true, attachable: true}
volumes: {data: {labels: {kept: "yes"}}}
secrets: {key: {file: ./key.txt, labels: {of: key}}}
configs: {conf: {file: ./web.env}}
`;
  }

  /** A service without ids, and without what the bridge does otherwise on purpose. */
  async #plain(name: string): Promise<unknown> {
    const { Spec } = (await inspectService(this.#world, name)) as { readonly Spec: Loose };
    const networks = new Map((await this.#list("networks")).map(({ Id, Name }) => [String(Id), String(Name)]));
    const { UpdateConfig: _, RollbackConfig: __, ...spec } = Spec;
    return simplify(spec, (text) => networks.get(text) ?? text, name.split("_")[0] ?? "");
  }

  async #plainParts(kind: (typeof PARTS)[number], stack: string): Promise<unknown> {
    const own = (await this.#list(kind)).filter((one) => stackOf(one) === stack);
    const kept = own.map(({ Spec, Name, Labels, Driver, Internal, Attachable, Options }) =>
      kind === "networks" ? { Name, Labels, Driver, Internal, Attachable, mtu: mtuOf(Options) } : Spec,
    );
    return kept.map((one) => simplify(one, (text) => text, stack)).toSorted((a, b) => JSON.stringify(a).localeCompare(JSON.stringify(b)));
  }

  async #images(service: string): Promise<string[]> {
    return (await running(this.#world, service)).map(({ image }) => image);
  }

  /** Runs busybox in a container of the service; what it printed. */
  async #inside(service: string, ...command: readonly string[]): Promise<string> {
    const [one] = await running(this.#world, service);
    if (one === undefined) throw new Error(`nothing of ${service} runs`);
    return this.#world.dockerOn(this.#world.lab.node(one.node), "exec", one.id, "/bin/busybox", ...command);
  }

  #list(kind: string): Promise<readonly Loose[]> {
    return listOf(this.#world.lab.manager().socketPath, `/${kind}`);
  }

  async #services(stack: string): Promise<string[]> {
    const all = await this.#list("services");
    return all.filter((one) => stackOf(one) === stack).map(({ Spec }) => String((Spec as Loose).Name)).toSorted();
  }

  async #names(kind: (typeof PARTS)[number], stack = "shop"): Promise<string[]> {
    const own = (await this.#list(kind)).filter((one) => stackOf(one) === stack);
    return own.map(({ Name, Spec }) => String(Name ?? (Spec as Loose).Name)).toSorted();
  }

  async #all(): Promise<string[]> {
    return (await Promise.all(PARTS.map((kind) => this.#names(kind)))).flat();
  }
}

const labelsOf = ({ Labels, Spec }: Loose): Loose => (Labels ?? (Spec as Loose | undefined)?.Labels ?? {}) as Loose;
const stackOf = (entry: Loose): unknown => labelsOf(entry)["com.docker.stack.namespace"];
const mtuOf = (options: unknown): unknown => ((options ?? {}) as Loose)["com.docker.network.driver.mtu"];
const outcomeOf = ({ last }: Pick<Answer, "last">): unknown => (last?.outcome as Loose | undefined)?.kind ?? last;
const isOf = (services: unknown, stack: string): boolean => Object.keys(services ?? {}).some((name) => name.startsWith(`${stack}_`));

/** Without ids, what is empty and what is the bridge's own; in one order; of a stack without its name. */
function simplify(value: unknown, rename: (text: string) => string, stack: string): unknown {
  if (typeof value === "string") return ofNoStack(rename(value), stack);
  if (Array.isArray(value)) {
    const entries = value.map((entry) => simplify(entry, rename, stack)).filter((entry) => entry !== undefined);
    return entries.length === 0 ? undefined : entries.toSorted((a, b) => JSON.stringify(a).localeCompare(JSON.stringify(b)));
  }
  if (typeof value !== "object" || value === null) return value || undefined;
  const kept = Object.entries(value).filter(([name]) => !/^goldseal\.|^(SecretID|ConfigID|Platforms)$/.test(name));
  const entries = kept.map(([name, entry]) => [name, simplify(entry, rename, stack)] as const);
  const full = entries.filter(([, entry]) => entry !== undefined).toSorted(([a], [b]) => a.localeCompare(b));
  return full.length === 0 ? undefined : Object.fromEntries(full);
}

/** Images: docker's client keeps the tag beside the digest. Secrets and configs: the bridge has a hash in their names. */
function ofNoStack(text: string, stack: string): string {
  const image = text.replace(/:[\w.-]+(@sha256:)/, "$1");
  return image === stack ? "STACK" : image.replace(new RegExp(`^${stack}_`), "STACK_").replace(/_[0-9a-f]{16}$/, "");
}
