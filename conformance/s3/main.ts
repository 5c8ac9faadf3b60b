/**
 * `npm run s3`: Goldseal on real S3 servers: refusals at the start, `doctor`, a kill at each step of a multipart upload,
 * and every fault of the proxy against every write path. `--only minio|versitygw|faults` leaves the others out. All faults
 * are met on MinIO, a choice of them on versitygw; `--faults minio,versitygw` names where all are.
 */
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { parseArgs } from "node:util";
import { RegistryClient, sha256 } from "../harness/registry-client.ts";
import { Report } from "../harness/report.ts";
import { hasS3Server, S3_KINDS, type S3Kind, type S3Server, startS3Server } from "../harness/s3-servers.ts";
import { freshFolder, launcher, projectRoot, type RunningServer, startServer } from "../harness/server.ts";
import { run } from "../harness/tools.ts";

const MIB = 1024 * 1024;
const FAULTS_SECONDS = 1_200;
const UPLOADS = "/v2/conformance/s3/blobs/uploads/";
/** Where the process is killed, and how a push comes there. */
const KILLS = ["mpu.afterPart:1", "mpu.afterPart:3", "mpu.beforeComplete:1", "mpu.afterComplete:1", "mpu.afterAbort:1"];

/** Only a failure waits so long. */
const REACHED_MS = 60_000;

const { values } = parseArgs({
  options: { only: { type: "string", multiple: true, default: [] }, faults: { type: "string", default: "minio" } },
});
const report = new Report();
process.exitCode = await main();

/** The faults wait for time to pass, nearly all of the time: the rest is done meanwhile. */
async function main(): Promise<number> {
  await Promise.all([!values.only.length || values.only.includes("faults") ? checkFaults() : undefined, checkKinds()]);
  return report.finish();
}

async function checkKinds(): Promise<void> {
  for (const kind of S3_KINDS) {
    if (values.only.length && !values.only.includes(kind)) continue;
    if (!hasS3Server(kind)) report.skip(`goldseal on ${kind}`, `${kind} not found`);
    else await checkKind(kind).catch((error: unknown) => report.fail(`${kind}: the group itself`, String(error)));
  }
}

async function checkKind(kind: S3Kind): Promise<void> {
  const s3 = await startS3Server(kind);
  try {
    await report.check(`${kind}: start and doctor refuse a bucket that is not there, and say what to do`, () =>
      checkRefusal(s3),
    );
    await report.check(`${kind}: doctor finds nothing wrong with a bucket that is`, () => checkDoctor(s3));
    await checkKills(s3);
  } finally {
    await s3.stop();
  }
}

async function checkRefusal(s3: S3Server): Promise<void> {
  const blobs = s3.url().replace(`//${s3.bucket}/`, "//nowhere/");
  for (const command of ["start", "doctor"]) {
    const { status, text } = await goldseal(command, { ...s3.env, GOLDSEAL_BLOBS: blobs });
    const says = /NoSuchBucket 404.*make the bucket nowhere, or mend its name/.test(text);
    if (status !== 1 || !says || /^ready /m.test(text)) throw new Error(`${command} exited ${status}:\n${text}`);
  }
}

async function checkDoctor(s3: S3Server): Promise<void> {
  const { status, text } = await goldseal("doctor", { ...s3.env, GOLDSEAL_BLOBS: s3.url("doctor") });
  const says = /^ok\s+blobs\s+goldseal at http:\S+: objects, ranges, .* work, checksums are kept$/m.test(text);
  if (status !== 0 || !says) throw new Error(`doctor exited ${status}:\n${text}`);
}

async function goldseal(command: string, env: Record<string, string>): Promise<{ status: number; text: string }> {
  const data = freshFolder();
  const all = { GOLDSEAL_DATA: data, GOLDSEAL_LISTEN: "127.0.0.1:0", ...env };
  try {
    const { status, stdout, stderr } = await run("node", [launcher, command], { cwd: projectRoot, env: all });
    return { status, text: stdout + stderr };
  } finally {
    rmSync(data, { recursive: true, force: true });
  }
}

/** One folder and one bucket through all the kills: what was acknowledged before stays. */
async function checkKills(s3: S3Server): Promise<void> {
  const data = freshFolder();
  const kept: string[] = [];
  try {
    for (const failpoint of KILLS) {
      await report.check(
        `${s3.kind}: killed at ${failpoint}, it starts again, keeps what it had and takes the push`,
        async () => {
          await killAt(s3, data, failpoint);
          await withServer(s3, data, {}, async (client) => {
            for (const digest of kept) await pull(client, digest);
            const content = randomBytes(20 * MIB);
            if ((await push(client, content)) !== 201) throw new Error("the push after the restart was not taken");
            kept.push(sha256(content));
            await pull(client, sha256(content));
          });
        },
      );
    }
  } finally {
    rmSync(data, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}

async function killAt(s3: S3Server, data: string, failpoint: string): Promise<void> {
  await withServer(s3, data, { GOLDSEAL_FAILPOINT: failpoint }, async (client, server) => {
    await client.ask("/api/v1/orgs/conformance", { method: "PUT", body: Buffer.from("{}") });
    const status = await (failpoint.startsWith("mpu.afterAbort")
      ? breakOff(client)
      : push(client, randomBytes(20 * MIB))
    )
      // The connection ends with the process.
      .catch(() => 0);
    for (const until = Date.now() + REACHED_MS; Date.now() < until && !reached(server, failpoint); )
      await new Promise((tick) => setTimeout(tick, 20));
    if (status !== 0 || !reached(server, failpoint)) throw new Error(`${failpoint} was not reached: ${status}`);
    await server.kill();
  });
}

function reached(server: RunningServer, failpoint: string): boolean {
  return server.output().includes(`failpoint ${failpoint.split(":")[0]}`);
}

async function withServer(
  s3: S3Server,
  data: string,
  more: Record<string, string>,
  work: (client: RegistryClient, server: RunningServer) => Promise<void>,
): Promise<void> {
  const env = { ...s3.env, ...more, GOLDSEAL_BLOBS: s3.url("kills") };
  const server = await startServer({ data, env, workers: 1 });
  const client = new RegistryClient(server, server.admin);
  try {
    await work(client, server);
  } finally {
    client.close();
    await server.stop();
  }
}

/** As docker does it; the status of the first answer that is no success, or of the last. */
async function push(client: RegistryClient, content: Buffer): Promise<number> {
  const begun = await client.ask(UPLOADS, { method: "POST" });
  if (begun.status !== 202) return begun.status;
  const headers = { "content-type": "application/octet-stream" };
  const location = String(begun.headers.location);
  const sent = await client.ask(location, { method: "PATCH", headers, body: content });
  if (sent.status !== 202) return sent.status;
  return (await client.ask(`${location}?digest=${sha256(content)}`, { method: "PUT" })).status;
}

/** A client that goes away in the middle of its PATCH. */
async function breakOff(client: RegistryClient): Promise<number> {
  const begun = await client.ask(UPLOADS, { method: "POST" });
  async function* half(): AsyncGenerator<Buffer> {
    // Taken from here as the server takes it: at the end it has begun what is to be aborted.
    for (let i = 0; i < 40; i++) yield randomBytes(MIB);
    client.close();
    throw new Error("the client goes away");
  }
  const answered = client.open(String(begun.headers.location), { method: "PATCH", body: Readable.from(half()) });
  await answered.catch(() => undefined);
  return 0;
}

async function pull(client: RegistryClient, digest: string): Promise<void> {
  const { status, body } = await client.ask(`/v2/conformance/s3/blobs/${digest}`);
  if (status !== 200 || sha256(body) !== digest) throw new Error(`GET ${digest}: ${status}, ${body.length} bytes`);
}

/** The faults need the sweep called by hand, so they are tests of the product. */
async function checkFaults(): Promise<void> {
  for (const kind of S3_KINDS) if (!hasS3Server(kind)) report.skip(`faults on ${kind}`, `${kind} not found`);
  const folder = mkdtempSync(join(tmpdir(), "goldseal-s3-"));
  const file = join(folder, "vitest.json");
  const vitest = join(projectRoot, "node_modules", "vitest", "vitest.mjs");
  const args = ["run", "src/registry/s3-faults", "--reporter=json", `--outputFile=${file}`];
  try {
    const { stdout, stderr } = await run(process.execPath, [vitest, ...args], {
      cwd: projectRoot,
      env: { S3_FAULTS: values.faults },
      timeoutSeconds: FAULTS_SECONDS,
    });
    const { testResults } = JSON.parse(readFileSync(file, "utf8"));
    const tests: { fullName: string; status: string; failureMessages: string[] }[] = testResults[0].assertionResults;
    for (const { fullName, failureMessages } of tests.filter(({ status }) => status === "failed"))
      report.fail(fullName, failureMessages.join("\n"));
    const passed = tests.filter(({ status }) => status === "passed").length;
    if (tests.length === 0) report.fail("faults", stdout + stderr);
    report.passAll(`faults of S3 against write paths, all of them on ${values.faults}: ${passed} passed`, passed);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
