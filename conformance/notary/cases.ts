/** 209 requests that real servers were asked: the answer is that of one of them, or a stricter one that is listed with its reason. */
import { RegistryClient } from "../harness/registry-client.ts";
import type { Report } from "../harness/report.ts";
import { seeDelegations, seeDeletion, seeForms, seeKeyKinds } from "./cases-delegations.ts";
import { seeKeys, seeLife, seeMalformed, seeRoutes } from "./cases-read.ts";
import { seeClientSnapshots, seeRoots, seeRotations } from "./cases-roots.ts";
import type { Place } from "./collection.ts";
import { type FixtureCase, readFixture } from "./fixture.ts";
import { DIFFERENT } from "./stricter.ts";
import { ALICE, openTrustServer, PUBLIC_ORG } from "./world.ts";

/** What a case was answered, in the fixture's words. */
export type See = (name: string, answer: string) => void;

export async function checkCases(report: Report): Promise<void> {
  const { server, stop } = await openTrustServer({ keys: "ed25519", challenge: "bearer" });
  const client = new RegistryClient(server, ALICE);
  try {
    await runCases(report, { client, prefix: `${server.host}/${PUBLIC_ORG}` });
  } finally {
    client.close();
    await stop();
  }
}

async function runCases(report: Report, place: Place): Promise<void> {
  const left = new Map(readFixture().map((one) => [one.name, one]));
  const see: See = (name, answer) => {
    judge(report, left.get(name), name, answer);
    left.delete(name);
  };
  const routes = [...left.keys()].filter((name) => name.startsWith("route "));
  const groups = [
    () => seeRoutes(place, routes, see),
    ...[seeKeys, seeMalformed, seeLife, seeRoots, seeClientSnapshots, seeRotations].map((run) => () => run(place, see)),
    ...[seeDelegations, seeKeyKinds, seeDeletion, seeForms].map((run) => () => run(place, see)),
  ];
  for (const group of groups) await group().catch((error: unknown) => report.fail("a group of cases", String(error)));
  for (const name of left.keys()) report.fail(`case ${name}`, "was not run");
}

function judge(report: Report, known: FixtureCase | undefined, name: string, answer: string): void {
  const different = DIFFERENT[name];
  if (known === undefined) report.fail(`case ${name}`, "is not in the fixture");
  else if (different !== undefined && different.answer === answer) report.pass(`case ${name}: ${different.why}`);
  else if (different === undefined && known.answers.includes(answer)) report.pass(`case ${name}`);
  else
    report.fail(
      `case ${name}`,
      `${answer}\nreal: ${known.answers.join("\n  or: ")}${different ? `\nlisted: ${different.answer}` : ""}`,
    );
}
