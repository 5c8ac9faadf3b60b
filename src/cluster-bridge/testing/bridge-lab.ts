/** A bridge with its own folder, at a simulated registry, with people who sign. */
// First: what parses a certificate before this is loaded leaves Node 26.10 without TLS servers.
import "node:https";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect } from "vitest";
import { createLog } from "../../http/log.ts";
import { canonicalKeyId } from "../../notary/tuf/key.ts";
import { parseGun, parseRoleName } from "../../notary/tuf/names.ts";
import { parseSignedFile } from "../../notary/tuf/signed-file.ts";
import { all, type Change, type Loose, put } from "../../notary/tuf/testing/loose.ts";
import { roleKeys } from "../../notary/tuf/testing/next-root.ts";
import { hashOf } from "../../notary/tuf/testing/reader.ts";
import { certificateFor, metaOf, NOW, Repository } from "../../notary/tuf/testing/repository.ts";
import { ecdsaKey, inCertificate, type TestKey } from "../../notary/tuf/testing/test-key.ts";
import type { UploadedPart } from "../../notary/tuf/upload.ts";
import { signEnvelope } from "../../trust/dsse.ts";
import { POLICY_TYPE } from "../../trust/policy.ts";
import type { Artifact } from "../../trust/subject.ts";
import { alice, bob, carol, signerOf, spkiText } from "../../trust/testing/signers.ts";
import { entryOf, image, indexOf, manifestOf, other } from "../../trust/testing/world.ts";
import { Bridge } from "../bridge.ts";
import { BridgeClock } from "../bridge-clock.ts";
import { type BridgeConfig, type Pin, parseBridgeConfig } from "../bridge-config.ts";
import type { PassPoint } from "../failpoint.ts";
import { PolicyKeeper } from "../policy-keeper.ts";
import { RegistryClient } from "../registry-client.ts";
import { type Decision, type DecisionDeps, resolveSignedDigest } from "../signed-digest.ts";
import { TrustReader } from "../trust-reader.ts";
import { TrustStore } from "../trust-store.ts";
import type { EngineSimulator } from "./engine-simulator.ts";
import { knownInMemory } from "./known-in-memory.ts";
import { RegistrySimulator } from "./registry-simulator.ts";

export { roleKeys };
export const [armImage] = [manifestOf("arm")];
export const bothPlatforms = indexOf(image, armImage);
/** Whoever decides what the bridge asks for. */
export const [officer, deputy] = [ecdsaKey(), ecdsaKey()] as const;
const owner = ecdsaKey();
const HOUR_MS = 3_600_000;

export const plainPolicy = (): Loose => ({
  version: 7,
  expires: "2027-01-01T00:00:00Z",
  environments: {
    prod: {
      images: ["ops/*"],
      require: [{ team: "qa", k: 1 }],
      maxTimestampAge: "48h",
      operators: [canonicalKeyId(alice.key)],
      specLimits: {},
      rights: { qa: "deploy" },
    },
  },
  teams: { qa: ["alice"], ops: ["bob"] },
  keys: Object.fromEntries(
    Object.entries({ alice, bob, carol }).map(([user, pair]) => [
      canonicalKeyId(pair.key),
      { spki: spkiText(pair), user },
    ]),
  ),
});

export class BridgeLab {
  readonly registry: RegistrySimulator;
  readonly folder: string;
  now = NOW;
  pins: Pin[] = [{ pattern: "**", rootKeys: [canonicalKeyId(owner.key)], threshold: 1, epoch: 1 }];
  account: { name: string; password: string } | undefined;
  /** For each answer of the registry: nothing that a slow machine exceeds, unless a test waits for its end. */
  timeoutMs = 60_000;
  /** Lines of the trust readers' log. */
  readonly logged: unknown[] = [];
  readonly #clients: RegistryClient[] = [];
  readonly #known = knownInMemory();
  readonly #log = createLog({ write: (line) => this.logged.push(JSON.parse(line)) });

  constructor(registry: RegistrySimulator, folder: string) {
    this.registry = registry;
    this.folder = folder;
    this.setPolicy();
    for (const artifact of [image, other, armImage, bothPlatforms]) registry.manifests.set(artifact.digest, artifact);
  }

  /** A bridge that was started now: all it knows is on disk. */
  async start(): Promise<DecisionDeps & { readonly trust: TrustReader }> {
    const { authority, ca } = this.registry;
    const options = { origin: `https://${authority}`, ca, timeoutMs: this.timeoutMs, account: this.account };
    const registry = new RegistryClient(options);
    this.#clients.push(registry);
    const store = new TrustStore(this.folder);
    return {
      ...{ authority, registry, ...this.#known },
      clock: await BridgeClock.open(this.folder, () => this.now),
      policy: await PolicyKeeper.open({ store: this.folder, registry, keys: [officer.key, deputy.key], threshold: 2 }),
      trust: new TrustReader({ authority, pins: this.pins, registry, store, log: this.#log }),
    };
  }

  /** The whole bridge, without its listener. */
  async open(engine: EngineSimulator, failpoint: PassPoint = () => undefined): Promise<Bridge> {
    return Bridge.open(await this.config(engine), {
      ...{ now: () => this.now, failpoint, log: createLog({ level: "off" }) },
      metrics: { addGauge: () => undefined },
    });
  }

  /** As its file has it. */
  async config(engine: EngineSimulator): Promise<BridgeConfig> {
    const { authority, ca } = this.registry;
    await writeFile(join(this.folder, "ca.crt"), ca);
    const file = {
      ...{ registry: `https://${authority}`, ca: "ca.crt", engine: `unix://${engine.socket}`, store: "." },
      policyKeys: { threshold: 2, keys: [officer, deputy].map(spkiText) },
      pins: this.pins.map(({ pattern, ...pin }) => ({ ...pin, gun: `${authority}/${pattern}` })),
    };
    return parseBridgeConfig(JSON.stringify(file), join(this.folder, "bridge.yaml"));
  }

  /** Of a bridge that starts for this question. */
  async resolve(name: string, environment = "prod"): Promise<Decision> {
    return resolveSignedDigest(await this.start(), `${this.registry.authority}/${name}`, environment);
  }

  /** As an operator does it. */
  editPins(change: Partial<Pin>): void {
    this.pins = this.pins.map((pin) => ({ ...pin, ...change }));
  }

  setPolicy(change: Change = () => undefined, by: readonly TestKey[] = [officer, deputy]): void {
    const document = plainPolicy();
    change(document);
    this.registry.policy = signEnvelope(POLICY_TYPE, Buffer.from(JSON.stringify(document)), by.map(signerOf));
  }

  /** A published collection in which `by` may sign as `targets/a`. */
  found(repository: string, by: TestKey = alice, root: TestKey = owner): Repository {
    const gun = parseGun(`${this.registry.authority}/${repository}`);
    const plain = new Repository({ gun });
    const keys = { ...plain.keys, root: inCertificate(root, certificateFor(gun)) };
    const founded = Repository.published({ gun, keys, delegates: { a: by, b: ecdsaKey() } });
    this.registry.collections.set(repository, founded);
    return founded;
  }

  /** `targets/a` says that `tag` is `what`, honestly. */
  sign(repository: Repository, tag: string, what: Artifact = image): void {
    repository.now = this.now;
    repository.publish([repository.part("targets/a", put(["targets", tag], entryOf(what)))]);
  }

  async close(): Promise<void> {
    for (const client of this.#clients) client.close();
    await rm(this.folder, { recursive: true });
  }
}

/** What a server does that is owned whole: it takes anything, and signs snapshot and timestamp over it. */
export function forge(repository: Repository, parts: readonly UploadedPart[], change: Change = () => undefined): void {
  const meta = parts.map(({ filename = "", bytes }) => put(["meta", filename], metaOf(bytes)));
  const snapshot = repository.part("snapshot", all(...meta, change));
  const expires = new Date(repository.now.getTime() + 14 * 24 * HOUR_MS).toISOString();
  const next = all(put(["meta", "snapshot"], metaOf(snapshot.bytes)), put(["expires"], expires));
  for (const { filename = "", bytes } of [...parts, snapshot, repository.part("timestamp", next)])
    keep(repository, filename, bytes);
}

/** As if it had been published. */
export function keep(repository: Repository, role: string, bytes: Uint8Array): void {
  const name = parseRoleName(role);
  repository.stored.set(name, bytes);
  const { version, expiresAt } = parseSignedFile(bytes);
  repository.history.push({ role: name, version, expiresAt, bytes, sha256: hashOf(bytes) });
}

/** The next root has another key; who holds the old one agreed. */
export function rotateRoot(repository: Repository): void {
  const [old, next] = [repository.keys.root, inCertificate(ecdsaKey(), certificateFor(repository.gun))];
  repository.publish([repository.part("root", roleKeys("root", [next]), [old, next])]);
  repository.keys.root = next;
}

/** What the server would have answered then. */
export function asItWas(repository: Repository): Repository {
  return Object.assign(repository.copy(), { history: [...repository.history] });
}

/** Decisions as tests expect them. */
export const refused = (code: string, reason: string | RegExp) => ({
  kind: "refuse",
  code,
  reason: expect.stringMatching(reason),
});
export const deploys = ({ digest }: { readonly digest: string }) => expect.objectContaining({ kind: "deploy", digest });

/** A new lab for every test of a file, at one registry. */
export function useBridgeLab(): () => BridgeLab {
  let registry: RegistrySimulator;
  let lab: BridgeLab;
  beforeAll(async () => {
    registry = await RegistrySimulator.start();
  });
  afterAll(() => registry.stop());
  beforeEach(async () => {
    registry.collections.clear();
    registry.manifests.clear();
    registry.asked.length = 0;
    registry.attack = () => false;
    lab = new BridgeLab(registry, await mkdtemp(join(tmpdir(), "goldseal-bridge-")));
  });
  afterEach(() => lab.close());
  return () => lab;
}
