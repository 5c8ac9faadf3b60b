import { z } from "zod";
import { isJsonObject, type JsonObject } from "../oci/json.ts";
import { findIntent, findKept, type Intent } from "./deployment-records.ts";
import type { Identities } from "./image-identities.ts";
import type { Journal } from "./journal.ts";

/** An intent, and what the journal says came of it. */
export interface Deployment extends Intent {
  /** What the engine was told, or was about to be; undefined: nothing yet. */
  readonly definition: JsonObject | undefined;
  readonly isConverged: boolean;
  readonly isFailed: boolean;
  /** The engine may or may not have done it, and nobody goes on with it. */
  readonly isAbandoned: boolean;
  /** Nobody is at work on it any more. */
  readonly isOver: boolean;
}

/** That a tag was this image when it was let run. */
export interface KnownTag {
  readonly tag: string;
  readonly digest: string;
}

type Mutable = { -readonly [name in keyof Deployment]: Deployment[name] };

const recordSchema = z.object({
  event: z.string(),
  ...{ id: z.string().optional(), name: z.string().optional(), service: z.string().optional() },
});

/** What the journal says, by what is asked for; it reads each record once. */
export class Ledger {
  readonly #journal: Pick<Journal, "records">;
  readonly #byId = new Map<string, Mutable>();
  readonly #byService = new Map<string, Mutable[]>();
  readonly #everByService = new Map<string, Mutable[]>();
  readonly #identities = new Map<string, Identities>();
  /** By `repository@digest`. */
  readonly #indexes = new Map<string, readonly string[]>();
  /** Environments, by the volume's name. */
  readonly #volumes = new Map<string, Set<string>>();
  /** By repository, oldest first. */
  readonly #tags = new Map<string, readonly KnownTag[]>();
  /** Why, by service. */
  readonly #frozen = new Map<string, string>();
  #read = 0;

  constructor(journal: Pick<Journal, "records">) {
    this.#journal = journal;
  }

  /** Whether it says of no deployment at all: the first start, or a store that was lost. */
  isEmpty(): boolean {
    return this.#upToDate().#byId.size === 0;
  }

  find(id: string): Deployment | undefined {
    return this.#upToDate().#byId.get(id);
  }

  /** Oldest first. */
  of(service: string): readonly Deployment[] {
    return this.#upToDate().#byService.get(service) ?? [];
  }

  /** Also of services of this name that were removed. Oldest first. */
  everOf(service: string): readonly Deployment[] {
    return this.#upToDate().#everByService.get(service) ?? [];
  }

  services(): readonly string[] {
    return [...this.#upToDate().#byService.keys()];
  }

  /**
   * What the service may be now: what the engine was told last, first of all; what it was told after that and perhaps did;
   * and, while somebody is at work, what it was before.
   */
  inForce(service: string): readonly Deployment[] {
    const told = this.of(service).filter(({ definition }) => definition !== undefined);
    const kept = told.filter(({ isAbandoned }) => !isAbandoned);
    const [last, before] = [kept.at(-1) ?? told.at(-1), kept.at(-2)];
    if (last === undefined) return [];
    const later = told.slice(told.indexOf(last) + 1);
    const open = this.of(service).at(-1)?.isOver === false;
    return [last, ...later, ...(open && before !== undefined ? [before] : [])];
  }

  /** What an engine may call the image; undefined where it was not read yet. */
  identitiesOf(pinned: string): Identities | undefined {
    return this.#upToDate().#identities.get(pinned);
  }

  /** Digests of the indexes through which `repository@digest` was let run. */
  indexesOf(image: string): readonly string[] {
    return this.#upToDate().#indexes.get(image) ?? [];
  }

  /** Those of which a service named it to an engine, be it still there or not: volumes stay. */
  environmentsOfVolume(name: string): ReadonlySet<string> {
    return this.#upToDate().#volumes.get(name) ?? new Set();
  }

  /** What tags of the repository were when images were let run, oldest first. */
  tagsIn(repository: string): readonly KnownTag[] {
    return this.#upToDate().#tags.get(repository) ?? [];
  }

  /** Whether the very image ran well there and was not taken back. */
  hasRun({ environment, service, pinned }: Pick<Intent, "environment" | "service" | "pinned">): boolean {
    const kept = findKept(this.of(service));
    return kept.some((before) => before.pinned === pinned && before.environment === environment);
  }

  /** Why nothing of it is changed; undefined: it may be. */
  whyFrozen(service: string): string | undefined {
    return this.#upToDate().#frozen.get(service);
  }

  /** Names of services. */
  frozen(): readonly string[] {
    return [...this.#upToDate().#frozen.keys()];
  }

  #upToDate(): this {
    const { records } = this.#journal;
    for (; this.#read < records.length; this.#read++) this.#take(records[this.#read] as JsonObject);
    return this;
  }

  #take(record: JsonObject): void {
    const { event, id = "", name = "", service = "" } = recordSchema.parse(record);
    if (event === "intent") this.#begin(record);
    if (event === "image" && typeof record.pinned === "string")
      this.#identities.set(record.pinned, toIdentities(record));
    if (event === "listed" && typeof record.image === "string")
      this.#indexes.set(record.image, [...(this.#indexes.get(record.image) ?? []), String(record.index)]);
    if (event === "tagged") this.#noteTag(String(record.repository), String(record.tag), String(record.digest));
    if (event === "removed") this.#forget(service);
    if (event === "frozen") this.#frozen.set(name, String(record.reason));
    if (event === "thawed") this.#frozen.delete(name);
    const deployment = this.#byId.get(id);
    if (deployment === undefined) return;
    if (event === "sent" && isJsonObject(record.definition)) this.#send(deployment, record.definition);
    if (event === "converged") deployment.isConverged = true;
    if (event === "failed") deployment.isFailed = true;
    if (event === "abandoned") deployment.isAbandoned = true;
    if (OVER.includes(event)) deployment.isOver = true;
  }

  #send(deployment: Mutable, definition: JsonObject): void {
    deployment.definition = definition;
    for (const name of volumesOf(definition))
      this.#volumes.set(name, (this.#volumes.get(name) ?? new Set()).add(deployment.environment));
  }

  #noteTag(repository: string, tag: string, digest: string): void {
    this.#tags.set(repository, [...(this.#tags.get(repository) ?? []), { tag, digest }]);
  }

  /** A service that is made again under the name begins anew. */
  #forget(service: string): void {
    this.#byService.delete(service);
    this.#frozen.delete(service);
  }

  #begin(record: JsonObject): void {
    const intent = findIntent(record);
    if (intent === undefined) return;
    const nothingYet = { isConverged: false, isFailed: false, isAbandoned: false, isOver: false };
    const deployment = { ...intent, definition: undefined, ...nothingYet };
    this.#byId.set(intent.id, deployment);
    for (const map of [this.#byService, this.#everByService])
      map.set(intent.service, [...(map.get(intent.service) ?? []), deployment]);
  }
}

const mountsSchema = z.object({
  TaskTemplate: z.object({
    ContainerSpec: z.object({ Mounts: z.array(z.object({ Type: z.string(), Source: z.string().optional() })) }),
  }),
});

function volumesOf(definition: JsonObject): string[] {
  const mounts = mountsSchema.safeParse(definition).data?.TaskTemplate.ContainerSpec.Mounts ?? [];
  return mounts.flatMap(({ Type, Source }) => (Type === "volume" && Source !== undefined ? [Source] : []));
}

const toIdentities = ({ digests, isPartial }: JsonObject): Identities => ({
  digests: Array.isArray(digests) ? digests.map(String) : [],
  isPartial: isPartial === true,
});

const OVER: readonly string[] = ["converged", "failed", "abandoned", "ended"];
