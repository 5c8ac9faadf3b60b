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
import { type Loose, until } from "../lab/engine.ts";
import { equal, journal, running } from "../looking.ts";
import type { Answer, World } from "../world.ts";
import { checkAgreement, list, outcomeOf, PARTS, type PartKind, stackOf } from "./stack-agreement.ts";

const SERVES = "mkdir -p /www; echo $0 >/www/index.html; httpd -f -p 80 -h /www & trap exit TERM; wait";
const LIMITS = { command: true, secrets: ["shop_key", "ours_key"], configs: ["shop_conf", "ours_conf"] };

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
    const [world, report, folder] = [this.#world, this.#report, this.#folder];
    await checkAgreement({ world, report, folder, deploy: (text, name) => this.#deploy(text, { name }) });
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
    deploy: {endpoint_mode: dnsrr, replicas: 2, update_config: {parallelism: 2, monitor: 2s}}
  db:
    image: ${this.#world.image("s2")}
    networks: {back: {aliases: [database]}}
    deploy: {endpoint_mode: dnsrr, update_config: {monitor: 250ms}}
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
    await report.check(
      "a stack with two services and a network of their own runs, by the digests that were signed",
      async () => {
        const { last } = await this.#deploy(this.#file("s1"));
        equal(last, {
          outcome: {
            ...{ kind: "done", stack: "shop" },
            services: { shop_web: { kind: "deployed", pinned: web }, shop_db: { kind: "deployed", pinned: db } },
            ...{ removed: [], left: [] },
          },
        });
        equal(await this.#images("shop_web"), [web, web]);
        equal(await this.#images("shop_db"), [db]);
      },
    );
    await report.check("its services find each other by their short names and aliases", async () => {
      // Nodes tell each other of names by gossip: at once, or where that was missed within half a minute.
      for (const name of ["db", "database", "web"])
        await until(`${name} is found`, () => this.#inside("shop_web", "nslookup", name));
    });
    await report.check(
      "a secret of a file is where its service looks for it, and other content is another secret",
      async () => {
        equal(await this.#inside("shop_web", "cat", "/run/secrets/key"), "first");
        equal(outcomeOf(await this.#deploy(this.#file("s1", { key: "second" }))), "done");
        equal(await this.#inside("shop_web", "cat", "/run/secrets/key"), "second");
        equal((await this.#names("secrets")).length, 2);
      },
    );
    await this.#checkRefused();
    await this.#release("sbad", "exit 3");
    await report.check(
      "an update of one service that fails is rolled back, and the other one stays as it was ordered",
      async () => {
        const { last } = await this.#deploy(this.#file("sbad", { key: "second" }));
        const { kind, services } = (last?.outcome ?? {}) as { kind?: string; services?: Record<string, Loose> };
        equal([kind, services?.shop_web?.kind, services?.shop_web?.rolledBackTo], ["failed", "failed", web]);
        equal([services?.shop_db?.kind, services?.shop_db?.pinned], ["deployed", db]);
        equal(await this.#images("shop_web"), [web, web]);
      },
    );
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
    await this.#report.check(
      "a stack of which one image is not signed is refused, and nothing of it is made",
      async () => {
        await this.#world.push("sunsigned", SERVES);
        const before = await this.#all();
        const more = `  job:\n    image: ${this.#world.image("sunsigned")}\n    networks: [other]`;
        const text = this.#file("s2", { key: "third", more }).replace(
          "\nnetworks: {back",
          "\nnetworks: {other: {}, back",
        );
        const { status, last } = await this.#deploy(text);
        equal([status, last?.code, String(last?.detail).startsWith("shop_job: ")], [403, "unsigned", true]);
        equal(await this.#all(), before);
      },
    );
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
        const isOver = (): boolean =>
          journal(world).some((line) => line.event === "stack-ended" && isOf(line.services, name));
        await until(`the stack ${name} is at its end`, async () => isOver(), 60);
        equal(await this.#services(name), [`${name}_db`, `${name}_web`]);
        equal(journal(world).filter(({ event, service }) => event === "intent" && service === `${name}_web`).length, 1);
        equal(outcomeOf(await world.change("stack.remove", { name })), "done");
      });
  }

  async #checkRemoval(): Promise<void> {
    await this.#report.check(
      "a stack is removed with all that is its own, and the network only after who used it",
      async () => {
        const { last } = await this.#world.change("stack.remove", { name: "shop" });
        equal(outcomeOf({ last }), "done");
        equal([await this.#services("shop"), await this.#all()], [[], []]);
        equal((last?.outcome as Loose | undefined)?.left, []);
      },
    );
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

  async #services(stack: string): Promise<string[]> {
    const all = await list(this.#world, "services");
    return all
      .filter((one) => stackOf(one) === stack)
      .map(({ Spec }) => String((Spec as Loose).Name))
      .toSorted();
  }

  async #names(kind: PartKind, stack = "shop"): Promise<string[]> {
    const own = (await list(this.#world, kind)).filter((one) => stackOf(one) === stack);
    return own.map(({ Name, Spec }) => String(Name ?? (Spec as Loose).Name)).toSorted();
  }

  async #all(): Promise<string[]> {
    return (await Promise.all(PARTS.map((kind) => this.#names(kind)))).flat();
  }
}

const isOf = (services: unknown, stack: string): boolean =>
  Object.keys(services ?? {}).some((name) => name.startsWith(`${stack}_`));
