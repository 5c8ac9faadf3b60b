import type { Log } from "../http/log.ts";
import { isJsonObject, type Json } from "../oci/json.ts";
import { isNamespaceName, isRepositoryName } from "../oci/repository-name.ts";
import { readObject } from "../oci/token-exchange.ts";
import type { ClusterStates } from "./cluster-states.ts";
import { findKept, type Intent, newestImages } from "./deployment-records.ts";
import { toRefusal } from "./errors.ts";
import type { Ledger } from "./ledger.ts";
import { ENVIRONMENT_LABEL, labelsOf } from "./managed-service.ts";
import { OneAtATime } from "./one-at-a-time.ts";
import { keyOf } from "./pull-states.ts";
import type { RegistryClient } from "./registry-client.ts";
import type { HeldService, Swarm } from "./swarm.ts";

export interface DigestReportDeps {
  readonly swarm: Pick<Swarm, "services" | "tasks">;
  readonly ledger: Pick<Ledger, "of">;
  readonly registry: Pick<RegistryClient, "tryCall">;
  /** What every node's own engine shows. */
  readonly watch: Pick<ClusterStates, "states">;
  /** What images of the registry begin with: `host:port`. */
  readonly authority: string;
  readonly now: () => Date;
  readonly log: Log;
}

interface Entry {
  readonly environment: string;
  readonly service: string;
  readonly repository: string;
  readonly digest: string;
  readonly state: "running" | "rollback";
}

interface Managed {
  readonly held: HeldService;
  readonly environment: string;
  readonly service: string;
}

type Coming = Pick<Intent, "environment" | "service" | "pinned"> & { readonly untilMs: number };

const PATH = "/api/v1/cluster-agent/digests";
/** The registry keeps for seven days what it was told. */
const REPEAT_MS = 6 * 3_600_000;
const LATE_MS = 24 * 3_600_000;
/** What is on its way stays announced for so long at least, and for as long as it is under way. */
const COMING_MS = 15 * 60_000;
/** The registry takes no more in one list. */
const MAX_ENTRIES = 10_000;

/** What belongs to no environment, or has a name that no service could have. */
const UNMANAGED = "unmanaged";
const SERVICE_NAME = /^[a-zA-Z0-9](?:[a-zA-Z0-9_.-]{0,61}[a-zA-Z0-9])?$/;

/** Tells the registry what runs, or may be rolled back to: it keeps that, and says so to whoever would delete it. */
export class DigestReport {
  readonly #deps: DigestReportDeps;
  readonly #turns = new OneAtATime();
  /** What the engine may not know yet, by service. */
  readonly #coming = new Map<string, Coming>();
  #running: readonly Entry[] | undefined;
  #last: { readonly text: string; readonly at: Date } | undefined;
  /** What the registry keeps since it took the last list: `repository@digest`. */
  #kept: ReadonlySet<string> = new Set();
  #toldAt: Date | undefined;
  #fault: string | undefined;
  /** Entries of the last list that found no room in it. */
  #unsaid = 0;

  constructor(deps: DigestReportDeps) {
    this.#deps = deps;
  }

  /**
   * An image that a service is to have; the registry keeps it when this resolves, if it can be told. What it keeps already, for
   * another service or for this one, is not told at once: that this one has it too stands in the next list.
   */
  async announce({ environment, service, pinned }: Pick<Intent, "environment" | "service" | "pinned">): Promise<void> {
    const untilMs = this.#deps.now().getTime() + COMING_MS;
    this.#coming.set(keyOf({ environment, service }), { environment, service, pinned, untilMs });
    if (this.#kept.has(pinned.slice(this.#deps.authority.length + 1))) return;
    await this.#turns.run("report", () => this.#report(this.#running));
  }

  /** Looks at the cluster, and tells what is new, or what was told long ago. */
  async refresh(): Promise<void> {
    await this.#turns.run("report", () => this.#report(undefined));
  }

  /** When it was last told, and took it; undefined: never since this bridge was started. */
  get toldAt(): Date | undefined {
    return this.#toldAt;
  }

  /** That the registry heard nothing for so long that it may soon let go of what runs, or cannot be told of all. */
  findFaults(): string[] {
    const ageMs = this.#last === undefined ? 0 : this.#deps.now().getTime() - this.#last.at.getTime();
    return [
      ...(this.#fault !== undefined && ageMs > LATE_MS ? [`the registry is not told what runs: ${this.#fault}`] : []),
      ...(this.#unsaid > 0
        ? [`the registry is not told of ${this.#unsaid} images that run or may be gone back to`]
        : []),
    ];
  }

  async #report(known: readonly Entry[] | undefined): Promise<void> {
    const { log } = this.#deps;
    try {
      this.#running = known ?? (await this.#look());
      await this.#send(this.#withComing(this.#running));
      this.#fault = undefined;
    } catch (error) {
      const { reason } = toRefusal(error);
      if (this.#fault !== reason) log.warn("bridge.digests", { why: reason });
      this.#fault = reason;
    }
  }

  async #send(deployed: readonly Entry[]): Promise<void> {
    const { registry, now, log } = this.#deps;
    const text = JSON.stringify(deployed);
    const isOld = this.#last === undefined || now().getTime() - this.#last.at.getTime() > REPEAT_MS;
    if (text === this.#last?.text && !isOld) return;
    this.#kept = new Set();
    const answer = await registry.tryCall({ method: "PUT", path: PATH, body: { deployed } });
    this.#last = { text, at: now() };
    if ("refused" in answer) return log.warn("bridge.digests", { why: answer.refused });
    this.#toldAt = now();
    const { missing } = readObject(answer.body);
    const unknown = new Set(Array.isArray(missing) ? missing.filter(isJsonObject).map(nameOf) : []);
    this.#kept = new Set(deployed.map(nameOf).filter((name) => !unknown.has(name)));
    if (unknown.size > 0) log.warn("bridge.digests", { missing: JSON.stringify(missing) });
  }

  async #look(): Promise<Entry[]> {
    const { swarm } = this.#deps;
    const held = (await swarm.services()).flatMap((service) => {
      const label = labelsOf(service)[ENVIRONMENT_LABEL];
      if (typeof label !== "string") return [];
      // Anybody can write a label: one that the registry would not take must not cost all others their entry.
      const environment = isNamespaceName(label) ? label : UNMANAGED;
      return [{ held: service, environment, service: String(service.spec.Name) }];
    });
    const nowMs = this.#deps.now().getTime();
    for (const [key, coming] of this.#coming)
      if (coming.untilMs < nowMs && !this.#isUnderWay(coming)) this.#coming.delete(key);
    const ofServices = (await Promise.all(held.map((one) => this.#entriesOf(one)))).flat();
    return [...ofServices, ...this.#entriesOfContainers()];
  }

  #isUnderWay({ environment, service, pinned }: Coming): boolean {
    const last = this.#deps.ledger.of(service).at(-1);
    return last?.environment === environment && last.pinned === pinned && !last.isOver;
  }

  /** Also what was started round the bridge: it is no less deleted under somebody's feet. */
  #entriesOfContainers(): Entry[] {
    const { containers, services } = this.#deps.watch.states();
    const names = new Map(services.map(({ id, name }) => [id, name]));
    return containers.flatMap(({ image, environment = UNMANAGED, service = "", name }) => {
      const its = names.get(service) ?? (SERVICE_NAME.test(name) ? name : UNMANAGED);
      return this.#toEntry({ environment, service: its, state: "running" }, image);
    });
  }

  /** Also what tasks are of that are not updated yet. */
  async #entriesOf({ held, environment, service }: Managed): Promise<Entry[]> {
    const { swarm, ledger } = this.#deps;
    const tasks = await swarm.tasks(held.id);
    const running = [imageOf(held.spec.TaskTemplate), ...tasks.map(({ container }) => container.Image)];
    const own = ledger.of(service).filter((deployment) => deployment.environment === environment);
    const before = newestImages(findKept(own)).map(({ pinned }) => pinned);
    const isRunning = new Set<unknown>(running);
    const rollbacks = [...new Set(before)].filter((pinned) => !isRunning.has(pinned));
    const of = (state: Entry["state"]) => (image: unknown) => this.#toEntry({ environment, service, state }, image);
    return [...[...isRunning].flatMap(of("running")), ...rollbacks.flatMap(of("rollback"))];
  }

  /** In an order of its own: the same again is the same text. */
  #withComing(entries: readonly Entry[]): Entry[] {
    const coming = [...this.#coming.values()].flatMap(({ environment, service, pinned }) =>
      this.#toEntry({ environment, service, state: "running" }, pinned),
    );
    const byKey = new Map([...entries, ...coming].map((entry) => [identityOf(entry), entry]));
    const all = [...byKey].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => entry);
    this.#unsaid = Math.max(0, all.length - MAX_ENTRIES);
    if (this.#unsaid === 0) return all;
    const running = all.filter(({ state }) => state === "running");
    return [...running, ...all.filter(({ state }) => state === "rollback")].slice(0, MAX_ENTRIES);
  }

  /** None for what is not of the registry. */
  #toEntry(of: Omit<Entry, "repository" | "digest">, image: unknown): Entry[] {
    const { authority } = this.#deps;
    if (typeof image !== "string" || !image.startsWith(`${authority}/`)) return [];
    const [, repository, digest] = /^([^:@]+)@(sha256:[0-9a-f]{64})$/.exec(image.slice(authority.length + 1)) ?? [];
    if (repository === undefined || digest === undefined || !isRepositoryName(repository)) return [];
    return [{ ...of, repository, digest }];
  }
}

const identityOf = ({ environment, service, repository, digest }: Entry): string =>
  [environment, service, repository, digest].join(" ");

interface Named {
  readonly repository?: unknown;
  readonly digest?: unknown;
}

/** `repository@digest` */
const nameOf = ({ repository, digest }: Named): string => `${repository}@${digest}`;

function imageOf(template: Json | undefined): Json | undefined {
  const container = isJsonObject(template) ? template.ContainerSpec : undefined;
  return isJsonObject(container) ? container.Image : undefined;
}
