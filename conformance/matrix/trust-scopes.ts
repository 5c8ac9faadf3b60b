/** What tokens open of the trust data of a repository where all is their bearer's: the scope alone decides. */
import type { Report } from "../harness/report.ts";
import { toBody, UPDATE_TYPE } from "../notary/collection.ts";
import { Probe } from "./token-probe.ts";
import { type Ask, bearer, codeOf } from "./wire.ts";
import { NAMES, restPath, scopeOf, type World } from "./world.ts";

const OWNER = "uma";

type TrustRight = "pull" | "sign" | "admin";
/** What a challenge asks for, so that one token does for a whole publish. */
const ASKED: Readonly<Record<TrustRight, string>> = { pull: "pull", sign: "push,pull", admin: "*" };
/** Signing again what is signed: no part at all. The deletion comes last. */
const FIVE: readonly (readonly [right: TrustRight, method: string, file: string, ask?: Ask])[] = [
  ["pull", "GET", "timestamp.json"],
  ["sign", "GET", "timestamp.key"],
  ["sign", "POST", "", { body: toBody([]), type: UPDATE_TYPE }],
  ["admin", "POST", "snapshot.key"],
  ["admin", "DELETE", ""],
];

function cases(name: string, world: World): Readonly<Record<string, readonly [scopes: string[], TrustRight[]]>> {
  const gun = world.trust.gunOf(name);
  return {
    "no scope": [[], []],
    "the repository itself": [[scopeOf(name)], []],
    "*, of the repository itself": [[scopeOf(name, "*")], []],
    "pull only": [[scopeOf(gun, "pull")], ["pull"]],
    "push only, which is to sign": [[scopeOf(gun, "push")], ["sign"]],
    "push,pull": [[scopeOf(gun, "push,pull")], ["pull", "sign"]],
    "both names of the repository": [[scopeOf(name), scopeOf(gun, "pull")], ["pull"]],
    "delete, which trust data does not know": [[scopeOf(gun, "delete")], []],
    "*, which is everything": [[scopeOf(gun, "*")], ["pull", "sign", "admin"]],
    "another repository of one's own": [[scopeOf(world.trust.gunOf(`${OWNER}/other`), "*")], []],
    "another's repository": [[scopeOf(world.trust.gunOf(NAMES.R2), "*")], []],
    "another server's GUN": [[scopeOf(`h:5000/${name}`, "*")], []],
    "the catalog": [["registry:catalog:*"], []],
  };
}

export async function runTrustScopeCells(report: Report, world: World): Promise<void> {
  const probe = await new Probe(world, OWNER).prepare();
  const { name } = probe;
  await world.makeRepository(`${OWNER}/other`);
  await world.trust.publish(name);
  for (const [title, [scopes, opens]] of Object.entries(cases(name, world))) {
    await report.quietly(`trust data with a token for ${title}`, async () => {
      const authorization = bearer(await probe.token(...scopes));
      await mustOpen(world, name, authorization, opens);
      if (opens.includes("admin")) await world.trust.publish(name);
    });
  }
  await report.quietly("a token for trust data opens nothing of REST", async () => {
    const token = await probe.token(scopeOf(world.trust.gunOf(name), "*"));
    await probe.mustOpenNothingOfRest({ authorization: bearer(token) });
  });
  await report.quietly(
    "a token for the trust data of a repository that was deleted opens nothing of the next",
    async () => {
      const authorization = bearer(await probe.token(scopeOf(world.trust.gunOf(name), "*")));
      await world.must(204, "DELETE", `${restPath(name)}?dropTrust=true`);
      await world.makeRepository(name);
      await world.trust.publish(name);
      await mustOpen(world, name, authorization, []);
    },
  );
}

/** @throws Error unless exactly what needs one of `rights` is done; a refusal is 401, and asks for what was missing */
async function mustOpen(world: World, name: string, authorization: string, rights: readonly TrustRight[]) {
  const gun = world.trust.gunOf(name);
  for (const [right, method, file, ask] of FIVE) {
    const answer = await world.wire.ask(method, `/v2/${gun}/_trust/tuf/${file}`, { ...ask, authorization });
    const header = answer.headers["www-authenticate"] ?? "";
    const asksFor = `scope="${scopeOf(gun, ASKED[right])}",error="insufficient_scope"`;
    const isRefused = answer.status === 401 && codeOf(answer) === "UNAUTHORIZED" && header.includes(asksFor);
    if (rights.includes(right) ? answer.status === 200 : isRefused) continue;
    throw new Error(`${method} ${file} (${right}): ${answer.status} ${header}\n${answer.body}`);
  }
}
