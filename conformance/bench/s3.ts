/**
 * `npm run bench -- s3`: Goldseal, docker-registry 2.8 and distribution 3 on one and the same MinIO, by turns, as medians
 * and ratios: push of a 1 GiB layer and of 200 small ones, pull streamed and by redirect. Goldseal asks for a token and
 * has no TLS, like the others, who ask for nothing.
 */
import { randomBytes } from "node:crypto";
import { get, type IncomingMessage } from "node:http";
import { join } from "node:path";
import { S3_KEYS, type S3Server, startS3Server } from "../harness/s3-servers.ts";
import { missingTools } from "../harness/tools.ts";
import { bearer, Client } from "./client.ts";
import { REPOSITORY } from "./lanes.ts";
import { openConnection } from "./loads/exchange.ts";
import { pushBlob, pushBytes } from "./loads/push.ts";
import { median } from "./measure.ts";
import { type Server, startDistribution, startGoldseal } from "./servers.ts";
import { figure } from "./table.ts";

export interface S3Pace {
  readonly rounds: number;
  readonly quick: boolean;
}

interface Contender {
  readonly name: string;
  readonly server: Server;
  /** Where a pull is redirected: the same server asked from another address, or another one over the same bytes. */
  readonly redirecting: { readonly server: Server; readonly localAddress: string };
  authorization(): Promise<string | undefined>;
}

const SMALL_LAYERS = 200;
const SMALL_BYTES = 64 * 1024;
/** As many as docker pushes at once. */
const PUSHES_AT_ONCE = 5;
const TARGET = 2;
const [OWN_ADDRESS, OTHER_ADDRESS] = ["127.0.0.1", "127.0.0.2"];

export async function benchS3(folder: string, { rounds, quick }: S3Pace): Promise<number> {
  const missing = missingTools(["minio", "docker-registry", "distribution-v3"]);
  if (missing.length > 0) {
    console.error(`${missing.join(" and ")} not found: run conformance/provision --bench`);
    return 2;
  }
  const mebibytes = quick ? 128 : 1024;
  await using undo = new AsyncDisposableStack();
  const s3 = await startS3Server("minio");
  undo.defer(() => s3.stop());
  const keep = async (server: Promise<Server>): Promise<Server> => {
    const started = await server;
    undo.defer(() => started.stop());
    return started;
  };
  const contenders = [
    await distribution(s3, folder, "docker-registry", keep),
    await distribution(s3, folder, "distribution-v3", keep),
    await goldseal(s3, folder, keep),
  ];
  const results = await race(contenders, { rounds: quick ? 1 : rounds, mebibytes });
  return print(contenders, results, mebibytes);
}

type Keep = (server: Promise<Server>) => Promise<Server>;

async function goldseal(s3: S3Server, folder: string, keep: Keep): Promise<Contender> {
  const env = { ...s3.env, GOLDSEAL_BLOBS: s3.url("goldseal"), GOLDSEAL_BLOB_REDIRECT: `${OTHER_ADDRESS}/32` };
  const server = await keep(startGoldseal(join(folder, "goldseal"), { tls: false, env }));
  const authorization = async (): Promise<string> => {
    const client = new Client(server);
    return bearer(client, REPOSITORY).finally(() => client.close());
  };
  return { name: "goldseal", server, redirecting: { server, localAddress: OTHER_ADDRESS ?? "" }, authorization };
}

async function distribution(s3: S3Server, folder: string, program: string, keep: Keep): Promise<Contender> {
  const storage = (redirect: boolean): string =>
    `s3: { accesskey: ${S3_KEYS.id}, secretkey: ${S3_KEYS.secret}, region: us-east-1, regionendpoint: "${s3.endpoint}", ` +
    `forcepathstyle: true, secure: false, bucket: ${s3.bucket}, rootdirectory: /${program} }\n` +
    `  redirect: { disable: ${!redirect} }`;
  const start = (name: string, redirect: boolean): Promise<Server> =>
    keep(startDistribution(join(folder, name), { program, storage: storage(redirect) }));
  return {
    name: program,
    server: await start(program, false),
    redirecting: { server: await start(`${program}-redirect`, true), localAddress: OWN_ADDRESS ?? "" },
    authorization: async () => undefined,
  };
}

const CASES = ["push of a large layer", "push of 200 small layers", "pull, streamed", "pull by redirect"] as const;
type CaseName = (typeof CASES)[number];
/** Of each contender, by case: MiB/s or layers/s of each round. */
type Results = Map<string, Record<CaseName, number[]>>;

async function race(contenders: readonly Contender[], pace: { rounds: number; mebibytes: number }): Promise<Results> {
  const results: Results = new Map(
    contenders.map(({ name }) => [
      name,
      { "push of a large layer": [], "push of 200 small layers": [], "pull, streamed": [], "pull by redirect": [] },
    ]),
  );
  // The first round warms all up and does not count.
  for (let round = 0; round <= pace.rounds; round++) {
    for (const contender of contenders) {
      const values = await runAll(contender, round === 0 ? 64 : pace.mebibytes);
      for (const name of CASES) if (round > 0) results.get(contender.name)?.[name].push(values[name]);
    }
  }
  return results;
}

async function runAll(contender: Contender, mebibytes: number): Promise<Record<CaseName, number>> {
  const { server, redirecting } = contender;
  const authorization = await contender.authorization();
  let digest = "";
  const push = await rate(mebibytes, async () => {
    const connection = await openConnection(server, authorization);
    digest = await pushBlob(connection, { repository: REPOSITORY, mebibytes });
    connection.close();
  });
  const small = await rate(SMALL_LAYERS, () => pushSmall(server, authorization));
  const path = `/v2/${REPOSITORY}/blobs/${digest}`;
  const pull = (from: Server, localAddress: string): Promise<number> =>
    rate(mebibytes, () =>
      pullOnce(new URL(path, from.url), { authorization, localAddress, bytes: mebibytes * 1024 ** 2 }),
    );
  return {
    "push of a large layer": push,
    "push of 200 small layers": small,
    "pull, streamed": await pull(server, OWN_ADDRESS ?? ""),
    "pull by redirect": await pull(redirecting.server, redirecting.localAddress),
  };
}

async function rate(amount: number, work: () => Promise<void>): Promise<number> {
  const started = performance.now();
  await work();
  return amount / ((performance.now() - started) / 1000);
}

async function pushSmall(server: Server, authorization: string | undefined): Promise<void> {
  const each = SMALL_LAYERS / PUSHES_AT_ONCE;
  const stream = async (): Promise<void> => {
    const connection = await openConnection(server, authorization);
    for (let i = 0; i < each; i++) await pushBytes(connection, REPOSITORY, randomBytes(SMALL_BYTES));
    connection.close();
  };
  await Promise.all(Array.from({ length: PUSHES_AT_ONCE }, stream));
}

interface Pull {
  readonly authorization: string | undefined;
  readonly localAddress: string;
  readonly bytes: number;
}

/** Follows one redirect, without the credentials, as clients do. */
async function pullOnce(url: URL, { authorization, localAddress, bytes }: Pull): Promise<void> {
  let answer = await ask(url, { localAddress, ...(authorization && { headers: { authorization } }) });
  if (answer.statusCode === 307) {
    const { location = "" } = answer.headers;
    answer.resume();
    answer = await ask(new URL(location), {});
  } else if (localAddress === OTHER_ADDRESS) throw new Error(`${url} was not redirected: ${answer.statusCode}`);
  let got = 0;
  for await (const piece of answer) got += piece.length;
  if (answer.statusCode !== 200 || got !== bytes) throw new Error(`${url} answered ${answer.statusCode}, ${got} bytes`);
}

function ask(url: URL, options: object): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => get(url, options, resolve).once("error", reject));
}

function print(contenders: readonly Contender[], results: Results, mebibytes: number): number {
  console.log(`a large layer: ${mebibytes} MiB; small ones: ${SMALL_BYTES / 1024} KiB, ${PUSHES_AT_ONCE} at once\n`);
  let isReached = true;
  for (const name of CASES) {
    const unit = name.includes("small") ? "layers/s" : "MiB/s";
    const of = (contender: string): readonly number[] => results.get(contender)?.[name] ?? [];
    console.log(`${name} (${unit})`);
    for (const contender of contenders) {
      const ratio = median(of("goldseal").map((value, round) => value / (of(contender.name)[round] ?? 0))) ?? 0;
      const isPeer = contender.name !== "goldseal";
      const goal = isPeer && name === CASES[0] ? ` (reach ${TARGET}: ${ratio >= TARGET ? "yes" : "NO"})` : "";
      if (isPeer && name === CASES[0] && ratio < TARGET) isReached = false;
      const runs = of(contender.name).map(figure).join(" ");
      const against = isPeer ? `   goldseal × ${ratio.toFixed(2)}${goal}` : "";
      console.log(
        `  ${contender.name.padEnd(16)} ${figure(median(of(contender.name)) ?? 0).padStart(8)}   ${runs}${against}`,
      );
    }
  }
  // Ratios on a machine that others use come and go, so a missed one is said and not made an exit status.
  console.log(
    `\n${CASES.length} cases; a large layer is pushed ${isReached ? "" : "NOT "}${TARGET} × as fast as by each peer`,
  );
  return 0;
}
