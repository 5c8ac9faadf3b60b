/** What docker's own client makes of a compose file, beside what the bridge makes of it. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Report } from "../../harness/report.ts";
import { type Loose, listOf, until } from "../lab/engine.ts";
import { equal, inspectService } from "../looking.ts";
import type { Answer, World } from "../world.ts";

export const PARTS = ["networks", "secrets", "configs"] as const;
export type PartKind = (typeof PARTS)[number];

export const stackOf = (entry: Loose): unknown => labelsOf(entry)["com.docker.stack.namespace"];
export const outcomeOf = ({ last }: Pick<Answer, "last">): unknown =>
  (last?.outcome as Loose | undefined)?.kind ?? last;
export const list = ({ lab }: Pick<World, "lab">, kind: string): Promise<readonly Loose[]> =>
  listOf(lab.manager().socketPath, `/${kind}`);
const labelsOf = ({ Labels, Spec }: Loose): Loose => (Labels ?? (Spec as Loose | undefined)?.Labels ?? {}) as Loose;

export interface Ours {
  readonly world: World;
  readonly report: Report;
  /** Where the compose file, `stack.yml`, and what it names are. */
  readonly folder: string;
  readonly deploy: (text: string, name: string) => Promise<Answer>;
}

/** The same file by docker's own client, under another name. */
export async function checkAgreement({ world, report, folder, deploy }: Ours): Promise<void> {
  writeFileSync(join(folder, "key.txt"), "s3cret");
  writeFileSync(join(folder, "web.env"), "FROM_FILE=1\nCOLOUR=red\n");
  await report.check(
    "docker's own client makes the same of the same file: names, labels, aliases and all else",
    async () => {
      equal(outcomeOf(await deploy(textOf(world), "ours")), "done");
      await world.docker("stack", "deploy", "-c", join(folder, "stack.yml"), "--with-registry-auth", "them");
      for (const service of ["web", "db"])
        equal(await plain(world, `ours_${service}`), await plain(world, `them_${service}`));
      for (const kind of PARTS) equal(await plainParts(world, kind, "ours"), await plainParts(world, kind, "them"));
    },
  );
  // It does not wait: a network whose task the managers have not given up yet is left, and that is an error.
  await until("docker's client has removed its own", () => world.docker("stack", "rm", "them"));
  equal(outcomeOf(await world.change("stack.remove", { name: "ours" })), "done");
}

const textOf = (world: World): string => `
version: "3.8"
services:
  web:
    image: ${world.image("s1")}
    environment: {COLOUR: blue, SIZE: 1}
    env_file: web.env
    labels: {tier: front}
    hostname: web
    init: false
    stop_grace_period: 3s
    stop_signal: SIGTERM
    read_only: true
    ports: [{target: 80, published: 18085, mode: host}]
    networks: {front: {aliases: [www]}, back: }
    secrets: [key]
    configs: [{source: conf, target: /conf, mode: 0440}]
    volumes:
    - data:/data
    - {type: tmpfs, target: /www, tmpfs: {size: 1048576}}
    - {type: volume, source: data, target: /again, read_only: true, volume: {nocopy: true}}
    healthcheck: {test: [CMD, /bin/busybox, "true"], interval: 1s, timeout: 2s, retries: 9, start_period: 1s}
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
      update_config: {monitor: 250ms}
  db:
    image: ${world.image("s2")}
    command: [/bin/busybox, sh, -c, "trap exit TERM; while :; do sleep 1 & wait; done"]
    deploy: {endpoint_mode: dnsrr, mode: global, restart_policy: {condition: any, delay: 1s}, update_config: {monitor: 250ms}}
networks:
  front: {driver_opts: {com.docker.network.driver.mtu: "1400"}, labels: {a: b}}
  back: {internal: true, attachable: true}
volumes: {data: {labels: {kept: "yes"}}}
secrets: {key: {file: ./key.txt, labels: {of: key}}}
configs: {conf: {file: ./web.env}}
`;

/** A service without ids, and without what the bridge does otherwise on purpose. */
async function plain(world: World, name: string): Promise<unknown> {
  const { Spec } = (await inspectService(world, name)) as { readonly Spec: Loose };
  const networks = new Map((await list(world, "networks")).map(({ Id, Name }) => [String(Id), String(Name)]));
  const { UpdateConfig: _, RollbackConfig: __, ...spec } = Spec;
  return simplify(spec, (text) => networks.get(text) ?? text, name.split("_")[0] ?? "");
}

async function plainParts(world: World, kind: PartKind, stack: string): Promise<unknown> {
  const own = (await list(world, kind)).filter((one) => stackOf(one) === stack);
  const kept = own.map(({ Spec, Name, Labels, Driver, Internal, Attachable, Options }) =>
    kind === "networks" ? { Name, Labels, Driver, Internal, Attachable, mtu: mtuOf(Options) } : Spec,
  );
  return simplify(kept, (text) => text, stack);
}

const mtuOf = (options: unknown): unknown => ((options ?? {}) as Loose)["com.docker.network.driver.mtu"];

/** Without ids, what is empty and what is the bridge's own; in one order; of a stack without its name. */
function simplify(value: unknown, rename: (text: string) => string, stack: string): unknown {
  if (typeof value === "string") return ofNoStack(rename(value), stack);
  if (Array.isArray(value)) {
    const entries = value.map((entry) => simplify(entry, rename, stack)).filter((entry) => entry !== undefined);
    return entries.length === 0
      ? undefined
      : entries.toSorted((a, b) => JSON.stringify(a).localeCompare(JSON.stringify(b)));
  }
  if (typeof value !== "object" || value === null) return value || undefined;
  const kept = Object.entries(value).filter(([name]) => !/^goldseal\.|^(SecretID|ConfigID|Platforms)$/.test(name));
  const entries = kept.map(([name, entry]) => [name, simplify(entry, rename, stack)] as const);
  const full = entries.filter(([, entry]) => entry !== undefined).toSorted(([a], [b]) => a.localeCompare(b));
  return full.length === 0 ? undefined : Object.fromEntries(full);
}

/**
 * Images: docker's client keeps the tag beside the digest. Secrets and configs: the bridge has a hash in their names. Capabilities:
 * both spellings are the engine's.
 */
function ofNoStack(text: string, stack: string): string {
  const image = text.replace(/:[\w.-]+(@sha256:)/, "$1").replace(/^CAP_/, "");
  return image === stack ? "STACK" : image.replace(new RegExp(`^${stack}_`), "STACK_").replace(/_[0-9a-f]{16}$/, "");
}
