/** One case: a repository of its own, images in it, trust data that people signed, and what the bridge makes of an order. */
import { Collection } from "../../notary/collection.ts";
import { ecdsa, idOf, inCertificate, keyOf, type Loose, type Signer, sha256Hex } from "../../notary/tuf-files.ts";
import type { Pushed } from "../../story/images.ts";
import { listOf } from "../lab/engine.ts";
import { makeOrder, type OrderOptions, type SigningKey } from "../signing.ts";
import { pushRunnable } from "./images.ts";
import { type Files, signedOf, versionOf } from "./thief.ts";
import { imageOf, must, SIGNERS, type SignerName, type World } from "./world.ts";

export interface Case {
  readonly name: string;
  /** It tampers with nothing, and shares one repository with others like it. */
  readonly isStanding?: boolean;
  run(stage: Stage): Promise<void>;
}

/** Status, code and the whole reason; the registry's name and digests in it are the case's to fill in. */
export type Refusal = readonly [status: number, code: string, reason: string | RegExp];

export interface Ordering extends OrderOptions {
  /** Where it is sent to; default: the environment that it is for. */
  readonly at?: string;
  readonly by?: SigningKey;
  /** The header itself, however it was made. */
  readonly order?: string;
  /** More of the service. */
  readonly spec?: object;
}

interface Last {
  readonly code?: string;
  readonly detail?: string;
  readonly outcome?: {
    readonly kind: string;
    readonly pinned?: string;
    readonly reason?: string;
    readonly rolledBackTo?: string;
  };
}

export class Stage {
  readonly world: World;
  /** `c-12`: also of the service. */
  readonly name: string;
  #collection: Collection | undefined;
  #versions: Record<string, number> = {};
  #rootVersion = 1;
  #seen: Promise<Pushed> | undefined;
  #evil: Promise<Pushed> | undefined;

  constructor(world: World, name: string) {
    [this.world, this.name] = [world, name];
  }

  /** Another repository of the same case. */
  another(what: string): Stage {
    return new Stage(this.world, `${this.name}-${what}`);
  }

  get repository(): string {
    return `ann/${this.name}`;
  }

  /** `host:port/ann/c-12` */
  get gun(): string {
    return `${this.world.host}/${this.repository}`;
  }

  get collection(): Collection {
    if (this.#collection === undefined) throw new Error("nothing is founded");
    return this.#collection;
  }

  /** An image that would run. */
  push(word: string, tag?: string): Promise<Pushed> {
    const { ann, layer } = this.world;
    return pushRunnable(ann, this.repository, layer, { word: `${this.name} ${word}`, ...(tag && { tag }) });
  }

  /** With a delegation for each who may sign, and what these say of tags. */
  async found(entries: Entries = {}, root: Signer = this.world.root): Promise<void> {
    const { ann, host, signers } = this.world;
    const collection = await Collection.open({ client: ann, prefix: `${host}/ann` }, this.name);
    collection.root = inCertificate(root, { cn: this.gun });
    const role = (name: SignerName) => ({
      name: `targets/${name}`,
      keyids: [idOf(signers[name])],
      paths: [""],
      threshold: 1,
    });
    const delegate = (signed: Loose): void => {
      const keys = Object.fromEntries(SIGNERS.map((name) => [idOf(signers[name]), keyOf(signers[name])]));
      signed.delegations = { keys, roles: SIGNERS.map(role) };
    };
    [this.#collection, this.#versions, this.#rootVersion] = [collection, {}, 1];
    await this.#publish([collection.rootPart(), collection.targetsPart(1, delegate), ...this.#parts(entries)]);
    await must(this.world.admin, "PUT", `/api/v1/orgs/ann/repositories/${this.name}`, { visibility: "public" });
  }

  /** The owner hands over to a new root key, as owners do: the old one signs too. */
  async rotateRoot(): Promise<void> {
    const { collection } = this;
    const [old, next] = [collection.root, inCertificate(ecdsa(), { cn: this.gun })];
    await this.#publish([this.rootPart(next, [old, next])]);
    collection.root = next;
    this.#rootVersion++;
  }

  /** The next root, which names this key for itself. */
  rootPart(next: Signer, signers: readonly Signer[]) {
    const { collection } = this;
    return collection.rootPart((signed) => {
      const [keys, roles] = [signed.keys as Loose, signed.roles as Record<string, Loose>];
      keys[idOf(next)] = keyOf(next);
      Object.assign(roles.root ?? {}, { keyids: [idOf(next)] });
      if (idOf(next) !== idOf(collection.root)) delete keys[idOf(collection.root)];
      signed.version = this.#rootVersion + 1;
    }, signers);
  }

  /** What people say of tags from now on. */
  sign(entries: Entries): Promise<void> {
    return this.#publish(this.#parts(entries));
  }

  async #publish(parts: Parameters<Collection["push"]>[0]): Promise<void> {
    const { status, body } = await this.collection.push(parts);
    if (status !== 200) throw new Error(`the trust data of ${this.gun} was answered ${status}: ${body}`);
  }

  #parts(entries: Entries) {
    return Object.entries(entries).map(([name, tags]) => {
      if (MAY.includes(name)) for (const { digest } of Object.values(tags)) this.world.honest.add(digest);
      const role = `targets/${name}`;
      this.#versions[role] = (this.#versions[role] ?? 0) + 1;
      return this.collection.rolePart(role, this.#versions[role], saying(tags), [
        this.world.signers[name as SignerName],
      ]);
    });
  }

  /** ann's delegation (or another's) as she would write it next, by whom a case likes. */
  forged(tags: Tags, by: Signer, role = "targets/ann", version = (this.#versions[role] ?? 0) + 1): Files {
    return {
      [role]: this.collection.rolePart(role, version, saying(tags), [by]).bytes,
    };
  }

  /** The usual beginning: `1` is signed by ann, and the bridge has seen it. */
  seen(): Promise<Pushed> {
    this.#seen ??= this.#see();
    return this.#seen;
  }

  async #see(): Promise<Pushed> {
    const image = await this.push("good", "1");
    await this.found({ ann: { 1: image } });
    await this.mustVerify("1");
    return image;
  }

  /** `evil`, which nobody signed. */
  evil(): Promise<Pushed> {
    this.#evil ??= this.push("evil", "evil");
    return this.#evil;
  }

  /** Of an image's configuration: what it runs. */
  async configOf({ digest }: Pushed): Promise<string> {
    const { body } = await this.world.ann.manifest(this.repository, digest);
    return JSON.parse(body.toString()).config.digest;
  }

  /** The bridge finds that it may run, and only then that it cannot be: quicker than to wait until it does. */
  mustVerify(image: string, ordering: Ordering = {}): Promise<void> {
    const spec = { networks: ["nowhere"] };
    return this.mustRefuse(image, [403, "spec", "the cluster has no network nowhere"], { ...ordering, spec });
  }

  /** What is served now. */
  files(): Promise<Files> {
    return this.world.thief.read(this.gun);
  }

  /** As the snapshot describes the file that is served: its length in bytes, and its SHA-256 in hex. */
  async served(role: string): Promise<{ readonly length: number; readonly hash: string }> {
    const bytes = (await this.files())[role] ?? Buffer.alloc(0);
    return { length: bytes.length, hash: sha256Hex(bytes) };
  }

  async version(role: string): Promise<number> {
    const bytes = (await this.files())[role];
    return bytes === undefined ? 0 : versionOf(bytes);
  }

  async signed(role: string): Promise<Loose> {
    return signedOf((await this.files())[role]);
  }

  /** A specification as {@link order} sends it: an order of a case's own is for these bytes. */
  write(image: string, spec: object = {}): string {
    const update = { monitor: "250ms" };
    return JSON.stringify({ name: this.name, image: this.#nameOf(image), replicas: 1, update, ...spec });
  }

  /** What the bridge answers to an order. @param image a tag, `@sha256:…` or a whole name */
  async order(image: string, ordering: Ordering = {}): Promise<{ readonly status: number; readonly last: Last }> {
    const { bridge, operator } = this.world;
    const { by = operator, environment = "prod", at = environment, spec = {} } = ordering;
    const text = this.write(image, spec);
    const order = ordering.order ?? makeOrder(text, by, ordering);
    const url = `${bridge.url}/api/v1/deployments?environment=${at}`;
    const answer = await fetch(url, { method: "POST", headers: { "goldseal-order": order }, body: text });
    const lines = (await answer.text()).trimEnd().split("\n");
    return { status: answer.status, last: JSON.parse(lines.at(-1) ?? "") };
  }

  #nameOf(image: string): string {
    if (image.includes("/") || image.startsWith("sha256:")) return image;
    return image.startsWith("@") ? `${this.gun}${image}` : `${this.gun}:${image}`;
  }

  /** Refused before the engine heard of it, in these very words. */
  async mustRefuse(image: string, expected: Refusal, ordering: Ordering = {}): Promise<void> {
    const before = await this.services();
    const { status, last } = await this.order(image, ordering);
    const [wanted, code, reason] = expected;
    const isSo = reason instanceof RegExp && reason.test(last.detail ?? "");
    equal([status, last.code, isSo ? undefined : last.detail], [wanted, code, isSo ? undefined : String(reason)]);
    equal(await this.services(), before);
  }

  /** It runs, by this digest: not by what the bridge says of it alone. */
  async mustDeploy(image: string, { digest }: Pushed, ordering: Ordering = {}): Promise<void> {
    const { world } = this;
    const { last } = await this.order(image, ordering);
    const pinned = `${this.gun}@${digest}`;
    equal(last, { outcome: { kind: "deployed", pinned } });
    equal((await this.services())[this.name], pinned);
    const label = encodeURIComponent(JSON.stringify({ label: [`com.docker.swarm.service.name=${this.name}`] }));
    const running = await listOf(world.engine, `/containers/json?filters=${label}`);
    equal([...new Set(running.map(({ Image }) => Image))], [pinned]);
  }

  /** Image by name of every service that there is. */
  async services(): Promise<Record<string, string>> {
    const services = await listOf(this.world.engine, "/services");
    const named = services.map((service) => [(service.Spec as { Name: string }).Name, imageOf(service)] as const);
    return Object.fromEntries(named.sort(([a], [b]) => a.localeCompare(b)));
  }
}

/** Whose signature is enough somewhere. */
const MAY: readonly string[] = ["ann", "ann2", "andy"];

export type Tags = Readonly<Record<string, Pushed>>;
export type Entries = Partial<Readonly<Record<SignerName, Tags>>>;

const saying =
  (tags: Tags) =>
  (signed: Loose): void => {
    signed.targets = targetsOf(tags);
  };

function targetsOf(tags: Tags): Loose {
  const entry = ({ digest, size }: Pushed) => ({
    hashes: { sha256: Buffer.from(digest.slice("sha256:".length), "hex").toString("base64") },
    length: size,
  });
  return Object.fromEntries(Object.entries(tags).map(([tag, image]) => [tag, entry(image)]));
}

export function equal(found: unknown, expected: unknown): void {
  const [a, b] = [JSON.stringify(found), JSON.stringify(expected)];
  if (a !== b) throw new Error(`expected ${b}\n   found ${a}`);
}
