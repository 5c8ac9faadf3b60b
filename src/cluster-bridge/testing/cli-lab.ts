/** The command line, the registry behind TLS, the bridge and an engine: all of it as people use it. */
// First: see bridge-lab.ts.
import "node:https";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { freePort } from "../../../conformance/harness/port.ts";
import { type RunningBridge, readBridgeConfig, startBridge } from "../../bridge.ts";
import { toEnvelopeSigner } from "../../cli/docker-keys/envelope-signer.ts";
import { generateSigningKey, type SigningKey, sealKey } from "../../cli/docker-keys/signing-key.ts";
import { runCli } from "../../cli/main.ts";
import { createLog } from "../../http/log.ts";
import { openTestApp, PASSWORD, type TestApp } from "../../testing/open-test-app.ts";
import { signEnvelope } from "../../trust/dsse.ts";
import { POLICY_TYPE } from "../../trust/policy.ts";
import { EngineSimulator } from "./engine-simulator.ts";
import { startTlsFront, type TlsFront } from "./tls-front.ts";
import { makePair } from "./tls-pair.ts";

const PASSPHRASES = {
  DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE: "rootpass123",
  DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE: "repopass123",
};

export interface Run {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

export class CliLab {
  readonly app: TestApp;
  readonly engine: EngineSimulator;
  readonly home: string;
  readonly authority: string;
  readonly officer: SigningKey;
  readonly #front: TlsFront;
  readonly #bridgePort: number;
  #bridge: RunningBridge | undefined;
  #policyVersion = 0;

  private constructor(parts: {
    readonly app: TestApp;
    readonly engine: EngineSimulator;
    readonly home: string;
    readonly officer: SigningKey;
    readonly front: TlsFront;
    readonly bridgePort: number;
  }) {
    [this.app, this.engine, this.home, this.officer] = [parts.app, parts.engine, parts.home, parts.officer];
    [this.#front, this.#bridgePort] = [parts.front, parts.bridgePort];
    this.authority = `localhost:${parts.front.port}`;
  }

  static async open(): Promise<CliLab> {
    const pair = makePair("localhost");
    const [front, engine, bridgePort] = [await startTlsFront(pair), await EngineSimulator.start(), await freePort()];
    const home = await mkdtemp(join(tmpdir(), "goldseal-cli-lab-"));
    await writeFile(join(home, "ca.crt"), pair.cert);
    const app = await openTestApp({
      GOLDSEAL_PUBLIC_URL: `https://localhost:${front.port}`,
      GOLDSEAL_BRIDGE_URL: `http://127.0.0.1:${bridgePort}`,
    });
    front.target = app.port;
    const lab = new CliLab({ app, engine, home, front, bridgePort, officer: generateSigningKey() });
    await lab.giveKey("officer", "otto", lab.officer);
    return lab;
  }

  async close(): Promise<void> {
    await this.stopBridge();
    await this.app[Symbol.asyncDispose]();
    await Promise.all([this.#front.close(), this.engine.stop()]);
    await rm(this.home, { recursive: true });
  }

  /** Puts a key into docker's folder of somebody's machine. */
  async giveKey(machine: string, role: string, key: SigningKey): Promise<void> {
    const folder = join(this.home, machine, "trust", "private");
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, `${key.key.id}.key`), sealKey(key, "repopass123", role, undefined));
  }

  /** `user` is also the machine, whose docker folder has the keys. Words in a line may be quoted. */
  async goldseal(user: string, line: string, machine = user): Promise<Run> {
    const io = { stdin: new PassThrough(), stdout: new PassThrough(), stderr: new PassThrough() };
    const [out, err]: [string[], string[]] = [[], []];
    io.stdout.on("data", (chunk: Buffer) => out.push(chunk.toString()));
    io.stderr.on("data", (chunk: Buffer) => err.push(chunk.toString()));
    const words = [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? "");
    const where = ["--url", `https://${this.authority}`, "--ca", join(this.home, "ca.crt"), "--as", user];
    const own = { GOLDSEAL_DATA: "/nonexistent", GOLDSEAL_PASSWORD: PASSWORD, ...PASSPHRASES };
    const status = await runCli([...words, ...where], { ...own, DOCKER_CONFIG: join(this.home, machine) }, io);
    await new Promise(setImmediate);
    return { status, out: out.join(""), err: err.join("") };
  }

  /** A policy in which alice signs, and those `keys` may order. */
  async setPolicy(keys: Readonly<Record<string, SigningKey>>, change: object = {}): Promise<void> {
    const signer = await this.#signerOf("alice/app");
    const prod = {
      ...{ images: ["alice/*"], require: [{ team: "qa", k: 1 }], maxTimestampAge: "48h", specLimits: {} },
      ...{ operators: Object.values(keys).map(({ key }) => key.id), rights: { ops: "deploy" }, ...change },
    };
    const operators = Object.entries(keys).map(([user, { key }]) => [key.id, { spki: spkiTextOf(key), user }]);
    const document = {
      ...{ version: ++this.#policyVersion, expires: new Date(Date.now() + 86_400_000).toISOString() },
      ...{ environments: { prod }, teams: { qa: ["alice"], ops: Object.keys(keys) } },
      keys: {
        [signer.keyId]: { spki: signer.spki, user: "alice" },
        [this.officer.key.id]: { spki: spkiTextOf(this.officer.key), user: "otto" },
        ...Object.fromEntries(operators),
      },
    };
    const body = signEnvelope(POLICY_TYPE, Buffer.from(JSON.stringify(document)), [toEnvelopeSigner(this.officer)]);
    const { status } = await this.app.ask("PUT", "/api/v1/policies/bridge", { as: "admin", body });
    if (status !== 201) throw new Error(`the policy was answered ${status}`);
  }

  async startBridge(): Promise<void> {
    const inspected = await this.goldseal("alice", `trust inspect ${this.authority}/alice/app --json`);
    await writeFile(join(this.home, "password"), PASSWORD);
    const file = {
      ...{ registry: `https://${this.authority}`, ca: "ca.crt", engine: `unix://${this.engine.socket}` },
      ...{ account: { name: "admin", passwordFile: "password" }, store: "bridge" },
      listen: `127.0.0.1:${this.#bridgePort}`,
      policyKeys: { keys: [spkiTextOf(this.officer.key)], threshold: 1 },
      pins: [{ gun: `${this.authority}/alice/*`, rootKeys: JSON.parse(inspected.out).keys.root }],
    };
    await writeFile(join(this.home, "bridge.yaml"), JSON.stringify(file));
    const config = await readBridgeConfig(join(this.home, "bridge.yaml"));
    this.#bridge = await startBridge(config, { log: createLog({ level: "off" }) });
  }

  async stopBridge(): Promise<void> {
    await this.#bridge?.stop();
    this.#bridge = undefined;
  }

  async #signerOf(repository: string) {
    const path = `/v2/${this.authority}/${repository}/_trust/tuf/targets.json`;
    const { body } = await this.app.ask("GET", path, { as: "alice" });
    const { keys, roles } = JSON.parse(body.toString()).signed.delegations;
    const [id] = roles.find(({ name }: { name: string }) => name === "targets/alice").keyids;
    return { keyId: String(id), spki: String(keys[id].keyval.public) };
  }
}

const spkiTextOf = (key: SigningKey["key"]): string => Buffer.from(key.getMaterial().spki).toString("base64");
