import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { Log } from "../http/log.ts";
import type { Metrics } from "../http/metrics.ts";
import { breakGlass } from "./break-glass.ts";
import { BridgeClock } from "./bridge-clock.ts";
import type { BridgeConfig } from "./bridge-config.ts";
import { ClusterStates } from "./cluster-states.ts";
import { Deployer } from "./deployer.ts";
import type { Judges } from "./deployment-run.ts";
import { DigestReport } from "./digest-report.ts";
import { Engines } from "./engines.ts";
import type { PassPoint } from "./failpoint.ts";
import { readIdentities } from "./image-identities.ts";
import { Journal } from "./journal.ts";
import { KnownIndexes } from "./known-indexes.ts";
import { KnownTags } from "./known-tags.ts";
import { Ledger } from "./ledger.ts";
import { Placer } from "./placement/placer.ts";
import { PolicyKeeper } from "./policy-keeper.ts";
import { PullKeeper } from "./pull-keeper.ts";
import { PullSecrets } from "./pull-secrets.ts";
import { PullStates } from "./pull-states.ts";
import { RegistryClient } from "./registry-client.ts";
import { ReplayStore } from "./replay-store.ts";
import { type DecisionDeps, resolveSignedDigest } from "./signed-digest.ts";
import { Swarm } from "./swarm.ts";
import { TrustReader } from "./trust-reader.ts";
import { TrustStore } from "./trust-store.ts";

const REGISTRY_TIMEOUT_MS = 10_000;
const PATIENCE_MS = 300_000;

export interface BridgeTools {
  readonly now: () => Date;
  readonly failpoint: PassPoint;
  readonly log: Log;
  readonly metrics: Pick<Metrics, "addGauge">;
}

/** The parts of the bridge that its features share. */
export interface Core extends BridgeTools, Judges {
  readonly config: BridgeConfig;
  readonly decisions: DecisionDeps;
  readonly policy: PolicyKeeper;
  readonly registry: RegistryClient;
  readonly replays: ReplayStore;
  readonly journal: Journal;
  /** All nodes' of which the configuration knows, and the managers'. */
  readonly engines: Engines;
  readonly swarm: Swarm;
  readonly deployer: Deployer;
  /** What nodes pull with. */
  readonly pulls: PullKeeper;
  /** What the registry is told of what runs. */
  readonly report: DigestReport;
  readonly ledger: Ledger;
  /** What the watch saw last. */
  readonly watch: ClusterStates;
}

/** @throws BridgeError STORE; Error for a file of the configuration that cannot be read */
export async function openCore(config: BridgeConfig, tools: BridgeTools): Promise<Core> {
  const { authority, store, policyKeys, pins } = config;
  const { now, failpoint, log, metrics } = tools;
  const registry = await openRegistry(config);
  const policy = await PolicyKeeper.open({ store, registry, ...policyKeys });
  const trust = new TrustReader({ authority, pins, registry, store: new TrustStore(store), log });
  metrics.addGauge({
    ...{ name: "goldseal_bridge_version_jumps", label: "gun", read: async () => trust.jumps },
    help: "Times trust data was more than ten versions ahead of what was seen of it, since the start, by GUN",
  });
  const clock = await BridgeClock.open(store, now);
  const [replays, journal] = [await ReplayStore.open(store), await Journal.open(store, now)];
  const engines = await Engines.open(config);
  // Nobody waits for it. When the first manager falls silent the others are known, and it is not waited for as if there were none.
  void engines.refresh();
  const [swarm, ledger] = [new Swarm(engines), new Ledger(journal)];
  const known = { indexes: new KnownIndexes({ journal, ledger }), tags: new KnownTags({ journal, ledger }) };
  const decisions = { authority, clock, policy, trust, registry, ...known };
  const judges = openJudges(decisions, journal, policyKeys);
  const placer = new Placer({ engines, policy, registry, authority });
  const watch = new ClusterStates();
  const report = new DigestReport({ swarm, ledger, registry, watch, authority, now, log });
  const pulls = new PullKeeper({
    ...{ swarm, journal, now, log, announce: (coming) => report.announce(coming) },
    states: await PullStates.open(store),
    secrets: new PullSecrets({ registry, authority, now }),
  });
  const deployer = new Deployer({
    ...{ swarm, journal, ledger, ...judges, pulls, newId: randomUUID, failpoint, patienceMs: PATIENCE_MS },
    identify: (pinned) => readIdentities(registry, pinned, authority),
    place: (ask) => placer.place(ask),
  });
  return {
    ...{ ...tools, ...judges, config, decisions, policy, registry, replays, journal, engines, swarm, ledger, deployer },
    ...{ pulls, report },
    watch,
  };
}

function openJudges(decisions: DecisionDeps, journal: Journal, policyKeys: BridgeConfig["policyKeys"]): Judges {
  const { authority, clock } = decisions;
  return {
    resolve: (image, environment, asking) => resolveSignedDigest(decisions, image, environment, asking),
    breakGlass: (envelope, asked) => breakGlass({ authority, clock, journal, ...policyKeys }, envelope, asked),
  };
}

export async function closeCore({ registry, replays, journal }: Core): Promise<void> {
  registry.close();
  await Promise.all([replays.close(), journal.close()]);
}

async function openRegistry({ registry, caFile, account }: BridgeConfig): Promise<RegistryClient> {
  return new RegistryClient({
    origin: registry,
    timeoutMs: REGISTRY_TIMEOUT_MS,
    ca: caFile === undefined ? undefined : await readFile(caFile, "utf8"),
    account: account && {
      name: account.name,
      password: (await readFile(account.passwordFile, "utf8")).replace(/\r?\n$/, ""),
    },
  });
}
