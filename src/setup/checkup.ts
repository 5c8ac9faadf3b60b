import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFile, stat, statfs } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type Config, ConfigError, parseConfig } from "../config.ts";
import { findFlaw } from "./certificates.ts";
import { probeBlobFolder } from "./checkup-blobs.ts";
import { type InspectDatabase, type SeenDatabase, seeDatabase } from "./checkup-database.ts";
import { checkBridge, checkDirectories, type FindMistakes } from "./checkup-files.ts";
import { checkMasterKey, type InspectKeys } from "./checkup-keys.ts";
import { checkPolicy, type InspectPolicies } from "./checkup-policy.ts";
import { isWritable, nearestExisting, tryConnect } from "./checkup-probes.ts";
import { checkQuarantine, type InspectQuarantine } from "./checkup-quarantine.ts";
import { checkTrustData, type InspectTrust } from "./checkup-trust.ts";
import type { Finding } from "./doctor.ts";
import { messageOf } from "./errors.ts";
import { findFile } from "./files.ts";
import { ok, unseen, warning, wrong } from "./findings.ts";
import { findHolder } from "./lock.ts";
import { reservePort } from "./port.ts";
import { certificateNames, urlHost } from "./primary.ts";

export interface CheckupParts {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly yamlText?: string;
  readonly now: Date;
  /** @throws Error that says what a bucket lacks */
  prepareBlobs(config: Config): Promise<{ readonly s3Checksums?: boolean }>;
  readonly inspectDatabase: InspectDatabase;
  readonly inspectKeys: InspectKeys;
  readonly inspectTrust: InspectTrust;
  readonly inspectQuarantine: InspectQuarantine;
  readonly inspectPolicies: InspectPolicies;
  readonly findDirectoryMistakes: FindMistakes;
  readonly findBridgeMistakes: FindMistakes;
}

interface Situation extends Omit<CheckupParts, "env" | "yamlText"> {
  readonly config: Config;
  /** The data folder exists: there was a first start. */
  readonly isMade: boolean;
  /** The process that serves this data folder now. */
  readonly holder: string | undefined;
  readonly database: SeenDatabase;
}

const GIB = 1024 ** 3;
const SECRET_FILES = ["ca.key", "server.key", "postgres.password", "master.key"];

/** Looks at everything a start needs, and leaves it as it was. */
export async function checkUp({ env, yamlText, ...parts }: CheckupParts): Promise<Finding[]> {
  let config: Config;
  try {
    config = parseConfig(env, yamlText);
  } catch (error) {
    const mistakes = error instanceof ConfigError ? error.mistakes : [messageOf(error)];
    return mistakes.map((text) => wrong("settings", text, "see goldseal --help; nothing else was looked at"));
  }
  const isMade = await stat(config.dataFolder).then(
    () => true,
    () => false,
  );
  const holder = isMade ? await findHolder(config.dataFolder) : undefined;
  const database = await seeDatabase({ ...parts, config, isServed: holder !== undefined });
  const situation = { ...parts, config, isMade, holder, database };
  const findings = [ok("settings", "no mistakes")];
  for (const [subject, check] of Object.entries(CHECKS)) findings.push(...(await attempt(subject, check, situation)));
  for (const [subject, check] of Object.entries(IN_DATABASE)) {
    const closed = database.whyClosed && unseen(subject, database.whyClosed);
    findings.push(...(closed ? [closed] : await attempt(subject, check, situation)));
  }
  return findings;
}

type Check = (situation: Situation) => Promise<readonly Finding[]>;

/** By what they are about, in the order in which it is told. */
const CHECKS: Readonly<Record<string, Check>> = {
  runtime: checkRuntime,
  data: checkData,
  disk: checkDisk,
  secrets: checkSecrets,
  directories: ({ config, findDirectoryMistakes }) => checkDirectories(config, findDirectoryMistakes),
  bridge: ({ config, findBridgeMistakes }) => checkBridge(config, findBridgeMistakes),
  database: async ({ database }) => database.findings,
  tls: checkTls,
  proxies: checkProxies,
  "master key": checkMasterKey,
  blobs: checkBlobs,
  port: checkPort,
  clock: checkClock,
};

/** What only a database that answers can tell. */
const IN_DATABASE: Readonly<Record<string, Check>> = {
  "trust data": ({ holder, ...rest }) => checkTrustData({ ...rest, isServed: holder !== undefined }),
  quarantine: ({ holder, ...rest }) => checkQuarantine({ ...rest, isServed: holder !== undefined }),
  policies: ({ holder, ...rest }) => checkPolicy({ ...rest, isServed: holder !== undefined }),
};

/** A check that cannot even look is a finding too. */
async function attempt(subject: string, check: Check, situation: Situation): Promise<readonly Finding[]> {
  try {
    return await check(situation);
  } catch (error) {
    return [wrong(subject, messageOf(error))];
  }
}

async function checkRuntime(): Promise<Finding[]> {
  const major = Number(process.versions.node.split(".")[0]);
  if (major >= 26) return [ok("runtime", `Node ${process.version}`)];
  return [
    wrong("runtime", `Node ${process.version} cannot run Goldseal`, "start it with npm start, which brings its own"),
  ];
}

async function checkData({ config, isMade, holder }: Situation): Promise<Finding[]> {
  const folder = config.dataFolder;
  if (!isMade) {
    const above = await nearestExisting(dirname(folder));
    return (await isWritable(above))
      ? [ok("data", `${folder} will be made by the first start`)]
      : [
          wrong(
            "data",
            `${folder} cannot be made in ${above}`,
            "set GOLDSEAL_DATA, or change the owner of that folder",
          ),
        ];
  }
  if (!(await isWritable(folder))) {
    return [wrong("data", `${folder} is not writable for this user`, `chown -R ${process.getuid?.()} ${folder}`)];
  }
  const { mode } = await stat(folder);
  const open = (mode & 0o066) !== 0;
  const state = holder === undefined ? "nobody serves it now" : `served by process ${holder}`;
  return [
    open
      ? warning("data", `${folder} can be listed by others`, `chmod go-rw ${folder}`)
      : ok("data", `${folder}, ${state}`),
  ];
}

async function checkDisk({ config }: Situation): Promise<Finding[]> {
  const blobs = config.blobs.kind === "fs" ? [config.blobs.root] : [];
  const findings: Finding[] = [];
  for (const folder of new Set([config.dataFolder, ...blobs])) {
    const disk = await statfs(await nearestExisting(folder));
    const free = disk.bavail * disk.bsize;
    const text = `${(free / GIB).toFixed(1)} GiB free for ${folder}`;
    findings.push(free < GIB ? wrong("disk", text, "free some space: pushes will be answered 507") : ok("disk", text));
  }
  return findings;
}

async function checkSecrets({ config, isMade }: Situation): Promise<Finding[]> {
  if (!isMade) return [];
  const findings: Finding[] = [];
  for (const file of SECRET_FILES.map((name) => join(config.dataFolder, name))) {
    const found = await stat(file).catch(() => undefined); // not every set-up has each
    if (found && (found.mode & 0o077) !== 0)
      findings.push(wrong("secrets", `${file} is open to others`, `chmod 600 ${file}`));
  }
  return findings.length > 0 ? findings : [ok("secrets", "readable by this user only")];
}

async function checkTls({ config, now, isMade }: Situation): Promise<Finding[]> {
  if (config.tls.kind === "off") {
    return config.listen.host.startsWith("127.") || config.listen.host === "localhost" || config.listen.host === "::1"
      ? [ok("tls", "off, and only this machine can connect")]
      : [warning("tls", "off: passwords cross the network in the clear", "have only a TLS proxy reach this port")];
  }
  const publicUrl = config.publicUrl ?? `https://${urlHost(config.listen.host)}:${config.listen.port}`;
  if (config.tls.kind === "auto") {
    const cert = isMade ? await findFile(join(config.dataFolder, "server.crt")) : undefined;
    if (cert === undefined) return [ok("tls", "certificates will be made by the first start")];
    const flaw = findFlaw(cert, { names: certificateNames(config, publicUrl), now });
    if (flaw !== undefined) return [warning("tls", `the server certificate ${flaw}`, "start again: it is made anew")];
    return [ok("tls", `certificate good until ${new X509Certificate(cert).validTo}`)];
  }
  const [cert, key] = await Promise.all([readFile(config.tls.certFile, "utf8"), readFile(config.tls.keyFile, "utf8")]);
  if (!new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))) {
    return [wrong("tls", `${config.tls.keyFile} is not the key of ${config.tls.certFile}`, "mend GOLDSEAL_TLS")];
  }
  const flaw = findFlaw(cert, { names: [new URL(publicUrl).hostname], now });
  if (flaw !== undefined)
    return [wrong("tls", `${config.tls.certFile} ${flaw}`, "get a new certificate for GOLDSEAL_PUBLIC_URL")];
  return [ok("tls", `${config.tls.certFile} good until ${new X509Certificate(cert).validTo}`)];
}

/** Whose X-Forwarded-For is believed. Where TLS ends before us, something stands there. */
async function checkProxies({ config }: Situation): Promise<Finding[]> {
  const trusted = config.trustedProxies.map(({ address, bits }) => `${address}/${bits}`);
  if (trusted.length > 0) return [ok("proxies", `${trusted.join(", ")} are believed who asks`)];
  if (config.tls.kind !== "off")
    return [ok("proxies", "none is believed who asks: it is the other end of a connection")];
  return [
    warning(
      "proxies",
      "TLS ends before this server, but no proxy is trusted: all clients behind one count as one",
      "set GOLDSEAL_TRUSTED_PROXIES to its address, and have it set X-Forwarded-For",
    ),
  ];
}

async function checkBlobs({ config, prepareBlobs }: Situation): Promise<Finding[]> {
  if (config.blobs.kind === "s3") return checkBucket(config.blobs, await prepareBlobs(config));
  const root = config.blobs.root;
  const existing = await nearestExisting(root);
  const failure = await probeBlobFolder(existing);
  if (failure === undefined) return [ok("blobs", `${root}: writes, fsync, link and rename work`)];
  return [
    wrong(
      "blobs",
      `${existing}: ${failure}`,
      "set GOLDSEAL_BLOBS to a folder on a local filesystem this user may write",
    ),
  ];
}

/** What is missing was thrown. */
function checkBucket(
  { bucket, endpoint = "AWS" }: Config["blobs"] & { kind: "s3" },
  { s3Checksums }: { s3Checksums?: boolean },
): Finding[] {
  const works = `${bucket} at ${endpoint}: objects, ranges, multipart uploads, presigned URLs and deletion work`;
  if (s3Checksums) return [ok("blobs", `${works}, checksums are kept`)];
  return [
    warning(
      "blobs",
      `${works}, but the server does not check CRC-32 sums`,
      "reach it over TLS only, or use one that does",
    ),
  ];
}

async function checkPort({ config, holder }: Situation): Promise<Finding[]> {
  const address = `${urlHost(config.listen.host)}:${config.listen.port}`;
  if (holder !== undefined) {
    const failure = await tryConnect(config.listen);
    if (config.listen.port === 0 || failure === undefined)
      return [ok("port", `${address} is served by process ${holder}`)];
    return [
      wrong("port", `${address}: ${failure}, though process ${holder} runs`, `see its log, or stop it: kill ${holder}`),
    ];
  }
  await using _reserved = await reservePort(config.listen);
  return [ok("port", `${address} is free`)];
}

async function checkClock({ config, now, isMade }: Situation): Promise<Finding[]> {
  const newest = isMade ? await stat(join(config.dataFolder, "postgres.log")).catch(() => undefined) : undefined;
  const behindSeconds = newest === undefined ? 0 : (newest.mtimeMs - now.getTime()) / 1000;
  if (behindSeconds < 60 && now.getUTCFullYear() >= 2026) return [ok("clock", now.toISOString())];
  return [
    wrong(
      "clock",
      `${now.toISOString()} is earlier than the last use of the data`,
      "set the clock (timedatectl set-ntp true)",
    ),
  ];
}
