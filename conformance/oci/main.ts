/**
 * `npm run conformance`: the official OCI conformance suite against a freshly started Goldseal, authenticated over TLS,
 * once as the stable specification (1.1) and once as its current main (dev), every switch on but `sparse`.
 * `--blobs s3 [--s3 minio|versitygw] [--redirect]` keeps its blobs on a real S3 server.
 * Reports stay in conformance/.report/oci-<version>/ (report.html, junit.xml, results.yaml).
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { blobsOptions, findBlobsMistake, openBlobs } from "../harness/blobs-option.ts";
import { RegistryClient } from "../harness/registry-client.ts";
import { Report } from "../harness/report.ts";
import { projectRoot, type RunningServer, startServer } from "../harness/server.ts";
import { findTool, run } from "../harness/tools.ts";
import { parseJunit } from "./junit.ts";

const SUITE = "oci-conformance";
const VERSIONS = ["1.1", "dev"];
const SUITE_SECONDS = 300;
const ORGANIZATION = "conformance";

const { values } = parseArgs({
  options: {
    ...blobsOptions,
    version: { type: "string", multiple: true, default: VERSIONS },
  },
});
process.exitCode = await main();

async function main(): Promise<number> {
  const mistake = findBlobsMistake(values);
  if (mistake !== undefined) {
    console.error(mistake);
    return 2;
  }
  const report = new Report();
  const suite = findTool(SUITE);
  for (const version of values.version) {
    const name = `official suite, ${version}`;
    if (!suite) report.skip(name, `${SUITE} not found`);
    else await runVersion(report, suite, version).catch((error: unknown) => report.fail(name, String(error)));
  }
  return report.finish();
}

/** A server for each version: the suite expects repositories that nothing was ever pushed to. */
async function runVersion(report: Report, suite: string, version: string): Promise<void> {
  const folder = join(projectRoot, "conformance", ".report", `oci-${version}`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const blobs = await openBlobs(values);
  try {
    await runAgainst(report, await startServer({ env: blobs.env }), { suite, version, folder });
  } finally {
    await blobs.stop();
  }
}

interface SuiteRun {
  readonly suite: string;
  readonly version: string;
  readonly folder: string;
}

async function runAgainst(report: Report, server: RunningServer, { suite, version, folder }: SuiteRun): Promise<void> {
  try {
    await makeOrganization(server);
    const { stdout, stderr } = await run(suite, [], {
      cwd: folder,
      env: suiteEnv(server, version, folder),
      timeoutSeconds: SUITE_SECONDS,
    });
    writeFileSync(join(folder, "output.txt"), stdout + stderr);
    addResults(report, version, folder);
  } finally {
    writeFileSync(join(folder, "server.log"), server.output());
    await server.stop();
  }
}

/** A push makes repositories, but never the organization they are in. */
async function makeOrganization(server: RunningServer): Promise<void> {
  const client = new RegistryClient(server, server.admin);
  try {
    const path = `/api/v1/orgs/${ORGANIZATION}`;
    const { status, body } = await client.ask(path, { method: "PUT", body: Buffer.from("{}") });
    if (status !== 201) throw new Error(`PUT ${path} answered ${status}: ${body}`);
  } finally {
    client.close();
  }
}

function addResults(report: Report, version: string, folder: string): void {
  const { passed, failed, skipped, disabled, open } = parseJunit(readFileSync(join(folder, "junit.xml"), "utf8"));
  const bad = open.filter(({ status }) => status !== "skipped");
  const left = open.filter(({ status }) => status === "skipped");
  for (const { name, why } of bad) report.fail(`${version}: ${name}`, why);
  for (const { name, why } of left) report.skip(`${version}: ${name}`, why);
  // The suite also counts what it held against a group of cases; none may be lost on the way to our line.
  for (let i = bad.length; i < failed; i++) report.fail(`${version}: further failure`, "see report.html");
  for (let i = left.length; i < skipped; i++) report.skip(`${version}: further skip`, "see report.html");
  report.passAll(`official OCI suite, ${version}: ${passed} tests passed, ${disabled} switched off`, passed);
  console.log(`        reports: ${folder}`);
}

function suiteEnv(server: RunningServer, version: string, results: string): Record<string, string> {
  return {
    OCI_VERSION: version,
    OCI_RESULTS_DIR: results,
    OCI_REGISTRY: server.host,
    OCI_TLS: "enabled",
    SSL_CERT_FILE: server.caPath,
    OCI_REPO1: `${ORGANIZATION}/repo1`,
    OCI_REPO2: `${ORGANIZATION}/repo2`,
    OCI_USERNAME: server.admin.name,
    OCI_PASSWORD: server.admin.password,
    // A client that follows each challenge: the mount's names both repositories, a token kept from an earlier push does not.
    OCI_CACHE_AUTH: "false",
    ...switchesOn(),
  };
}

/** Off by default in 1.1, where the specification leaves them to the registry: we keep them all. */
function switchesOn(): Record<string, string> {
  const names = [
    "OCI_API_BLOBS_DIGEST_HEADER",
    "OCI_API_BLOBS_UPLOAD_CANCEL",
    "OCI_API_MANIFESTS_DIGEST_HEADER",
    "OCI_API_MANIFESTS_TAG_PARAM",
  ];
  return Object.fromEntries(names.map((name) => [name, "true"]));
}
