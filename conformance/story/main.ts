/**
 * `npm run conformance:story`: from a developer's push to the gold image and back, with docker 20.10 and 28, `goldseal trust`,
 * docker trust and cosign v2 and v3; then each way to tamper with a signature, made by docker, notary, cosign and our own command
 * line. `--only story|trust|cosign`, `--docker docker-28`.
 */
import { parseArgs } from "node:util";
import { type Dockerd, startDockerd } from "../clients/dockerd.ts";
import { Report } from "../harness/report.ts";
import { missingTools } from "../harness/tools.ts";
import { makeBases, tellStory } from "./story.ts";
import { checkCosign } from "./tamper-cosign.ts";
import { checkTrust } from "./tamper-trust.ts";
import { openWorld, type World } from "./world.ts";

const { values } = parseArgs({
  options: { only: { type: "string", multiple: true, default: [] }, docker: { type: "string" } },
});
const CLIENTS = ["docker-20.10", "docker-28"];
const NEEDED = ["dockerd", ...CLIENTS, "notary", "cosign-v2", "cosign-v3", "crane"];

process.exitCode = await main();

async function main(): Promise<number> {
  const report = new Report();
  const missing = missingTools(NEEDED);
  const why = missing.length > 0 ? `${missing.join(", ")} not found` : "an engine of our own needs root";
  if (missing.length > 0 || process.getuid?.() !== 0) report.skip("the story, and tampering", why);
  else await runAll(report).catch((error: unknown) => report.fail("the suite itself", String(error)));
  return report.finish();
}

async function runAll(report: Report): Promise<void> {
  // It takes any certificate of a registry on a loopback address.
  const dockerd = await startDockerd("/etc/ssl/certs/ca-certificates.crt");
  try {
    await makeBases(dockerd);
    for (const docker of CLIENTS.filter((one) => one === (values.docker ?? one)))
      await inWorld(report, { dockerd, docker, part: "story" }, tellStory);
    // What is signed is the same whichever docker signs it.
    const docker = values.docker ?? "docker-28";
    await inWorld(report, { dockerd, docker, part: "trust" }, checkTrust);
    await inWorld(report, { dockerd, docker, part: "cosign" }, checkCosign);
  } finally {
    await dockerd.stop();
  }
}

interface Part {
  readonly dockerd: Dockerd;
  readonly docker: string;
  readonly part: string;
}

/** A part that cannot even begin is one failure; the others still run. */
async function inWorld(
  report: Report,
  { dockerd, docker, part }: Part,
  run: (world: World) => Promise<void>,
): Promise<void> {
  if (values.only.length && !values.only.includes(part)) return;
  try {
    const world = await openWorld(report, dockerd, docker);
    await run(world).finally(() => world.close());
  } catch (error) {
    report.fail(
      `${part}, ${docker}: the part itself`,
      error instanceof Error ? (error.stack ?? error.message) : String(error),
    );
  }
}
