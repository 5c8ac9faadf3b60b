/**
 * `npm run conformance:notary`: docker 20.10, docker 28 and notary 0.7 in the 39 steps of two people's day, with both kinds of
 * server keys and both challenges; the answers of real servers to 209 requests; the files and keys of `vectors.json`; a random history of publishes and rotations
 * that the notary program accepts at each step; docker's keys that lead to people; `goldseal trust` beside them all; what the server signs as part
 * of a push. `--only script|own|auto|cases|vectors|history|people`, `--challenge bearer|basic` (script), `--docker docker-28` (own, auto), `--publishes N`,
 * `--seed TEXT` (history).
 */
import { parseArgs } from "node:util";
import { Report } from "../harness/report.ts";
import { missingTools } from "../harness/tools.ts";
import { runAutoSign } from "./auto-sign.ts";
import { checkCases } from "./cases.ts";
import { checkHistory } from "./history.ts";
import { runOwnClient } from "./own-client.ts";
import { checkPeople } from "./people.ts";
import { runScript } from "./script.ts";
import { checkVectors } from "./vectors.ts";
import { makeBaseImage, openEngine, openTrustServer, type Setting } from "./world.ts";

const { values } = parseArgs({
  options: {
    only: { type: "string", multiple: true, default: [] },
    challenge: { type: "string" },
    docker: { type: "string" },
    publishes: { type: "string", default: "20" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
  },
});

const CLIENTS = ["docker-20.10", "docker-28"];
const SETTINGS: readonly Setting[] = [
  { keys: "ed25519", challenge: "bearer" },
  { keys: "ecdsa", challenge: "bearer" },
  { keys: "ed25519", challenge: "basic" },
];

const GROUPS: Readonly<Record<string, (report: Report) => Promise<void>>> = {
  script: checkScripts,
  own: checkOwnClient,
  auto: checkAutoSign,
  cases: checkCases,
  vectors: checkVectors,
  people: checkPeople,
  history: (report) => checkHistory(report, { publishes: Number(values.publishes), seed: values.seed }),
};

process.exitCode = await main();

async function main(): Promise<number> {
  const report = new Report();
  for (const [name, check] of Object.entries(GROUPS)) {
    if (values.only.length && !values.only.includes(name)) continue;
    // A group that cannot even begin is one failure; the others still run.
    await check(report).catch((error: unknown) => report.fail(`${name}: the group itself`, String(error)));
  }
  return report.finish();
}

/** Why no engine can be started here; undefined when it can. */
function whyNoEngine(programs: readonly string[]): string | undefined {
  const missing = missingTools(["dockerd", ...CLIENTS, ...programs]);
  if (missing.length > 0) return `${missing.join(", ")} not found`;
  return process.getuid?.() === 0 ? undefined : "an engine of our own needs root";
}

async function checkOwnClient(report: Report): Promise<void> {
  const why = whyNoEngine(["notary", "crane", "oras"]);
  if (why !== undefined) return report.skip("goldseal trust beside docker and notary", why);
  const dockerd = await openEngine();
  try {
    await makeBaseImage(dockerd);
    const { server, stop } = await openTrustServer({ keys: "ecdsa", challenge: "bearer" });
    try {
      for (const docker of CLIENTS.filter((one) => one === (values.docker ?? one)))
        await runOwnClient({ report, server, dockerd, docker });
    } finally {
      await stop();
    }
  } finally {
    await dockerd.stop();
  }
}

async function checkAutoSign(report: Report): Promise<void> {
  const why = whyNoEngine(["notary", "crane", "skopeo"]);
  if (why !== undefined) return report.skip("what the server signs, before docker and notary", why);
  const dockerd = await openEngine();
  try {
    await makeBaseImage(dockerd);
    const { server, stop } = await openTrustServer({ keys: "ed25519", challenge: "bearer" });
    try {
      for (const docker of CLIENTS.filter((one) => one === (values.docker ?? one)))
        await runAutoSign({ report, server, dockerd, docker });
    } finally {
      await stop();
    }
  } finally {
    await dockerd.stop();
  }
}

async function checkScripts(report: Report): Promise<void> {
  const why = whyNoEngine(["notary"]);
  if (why !== undefined) {
    for (const { keys, challenge } of SETTINGS) report.skip(`script, ${keys} keys, ${challenge}`, why);
    return;
  }
  const dockerd = await openEngine();
  try {
    await makeBaseImage(dockerd);
    for (const setting of SETTINGS) {
      if (values.challenge !== undefined && setting.challenge !== values.challenge) continue;
      const { server, stop } = await openTrustServer(setting);
      try {
        for (const docker of CLIENTS) {
          await runScript({ report, server, dockerd, docker, setting });
        }
      } finally {
        await stop();
      }
    }
  } finally {
    await dockerd.stop();
  }
}
