/** Trust data among 100,000 GUNs: Goldseal and Debian's notary-server with PostgreSQL, by turns. */
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { missingTools } from "../../harness/tools.ts";
import { askAround } from "../access/loads.ts";
import type { Lane } from "../lanes.ts";
import { type Case, type CaseResult, measure, type Pace, type Sample } from "../measure.ts";
import { type Server, startGoldseal } from "../servers.ts";
import { header, lines } from "../table.ts";
import { MIGRATIONS, startNotary } from "./peer.ts";
import { publishFor } from "./publishes.ts";
import { LIVE, seedGoldseal, seedPeer, type Trust } from "./seed.ts";

const GUNS = 100_000;
const CONNECTIONS = [1, LIVE];
/** Records of a page of the feed, from the middle of it. */
const PAGE = 100;

const TITLES = {
  peer: "notary-server + notary-signer 0.7 + PostgreSQL, no auth",
  anonymous: "goldseal, anonymous",
  token: "goldseal, bearer token",
  shipped: "",
} as const;

interface NotaryPace extends Pace {
  readonly quick: boolean;
  /** Only the cases whose name contains one of these; none: all. */
  readonly names: readonly string[];
}

/** Reads and publishes by turns; a ratio that is missed is said and is no exit status, as in the other benches. */
export async function notaryBench(folder: string, pace: NotaryPace, jsonFile?: string): Promise<number> {
  const missing = missingTools(["notary-server", "notary-signer", "wrk", "openssl"]);
  if (missing.length > 0 || !existsSync(MIGRATIONS)) {
    console.error(`${[...missing, "notary's tables"].join(", ")} not found: run conformance/provision --bench`);
    return 2;
  }
  const servers: Server[] = [];
  try {
    const peer = await startNotary(join(folder, "peer"));
    servers.push(peer);
    const server = await startGoldseal(join(folder, "goldseal"), { tls: false });
    servers.push(server);
    const sizes = { guns: pace.quick ? 1_000 : GUNS };
    const trusts = [await seedPeer(peer, sizes), ...(await seedGoldseal(server, sizes))];
    console.log(`${sizes.guns} GUNs; ${pace.rounds} × ${pace.seconds} s by turns\n`);
    const cases = await measureAll(trusts, pace);
    if (jsonFile) writeFileSync(jsonFile, `${JSON.stringify({ sizes, pace, cases }, null, 2)}\n`);
    const targets = cases.flatMap(({ target }) => target ?? []);
    const met = targets.filter((target) => target.met).length;
    console.log(`\n${cases.length} cases, 0 failed; ${met} of ${targets.length} ratios reached`);
    return 0;
  } finally {
    await Promise.all(servers.map((server) => server.stop()));
  }
}

async function measureAll(trusts: readonly Trust[], pace: NotaryPace): Promise<CaseResult[]> {
  const byLane = new Map(trusts.map((trust) => [trust.lane, trust]));
  const lanes: Lane[] = trusts.map(({ lane, server }) => ({
    ...{ name: lane, title: TITLES[lane], server },
    authorization: async () => undefined,
  }));
  const of = ({ name }: Lane): Trust => byLane.get(name) ?? fail(name);
  console.log(header(lanes));
  const results: CaseResult[] = [];
  const isWanted = ({ name }: Case) => pace.names.length === 0 || pace.names.some((text) => name.includes(text));
  for (const test of casesOf(of).filter(isWanted)) {
    const result = await measure(test, lanes, pace);
    console.log(lines(result));
    results.push(result);
  }
  return results;
}

function casesOf(of: (lane: Lane) => Trust): Case[] {
  const reads = { unit: "req/s", better: "higher", lanes: ["peer", "anonymous", "token"] } as const;
  const writes = { unit: "/s", better: "higher", lanes: ["peer", "token"] } as const;
  const target = (connections: number, ratio: number) =>
    connections === 1 ? {} : { target: { lane: "token" as const, ratio } };
  return [
    ...CONNECTIONS.map((connections) => ({
      ...{ ...reads, ...target(connections, 5), name: `timestamp GET, ${connections} conn` },
      run: (lane: Lane, seconds: number) => read(of(lane), "tuf/timestamp.json", connections, seconds),
    })),
    ...CONNECTIONS.map((connections) => ({
      ...{ ...writes, ...target(connections, 2), name: `publish, ${connections} conn` },
      run: (lane: Lane, seconds: number) => publishFor(of(lane), connections, seconds),
    })),
    {
      ...{ ...reads, name: `changefeed of a GUN, ${LIVE} conn` },
      run: (lane, seconds) => read(of(lane), `changefeed?records=${PAGE}`, LIVE, seconds),
    },
    {
      ...{ ...reads, lanes: ["peer", "anonymous"], name: `changefeed, page of ${PAGE}, ${LIVE} conn` },
      run: (lane, seconds) => readFeed(of(lane), seconds),
    },
  ];
}

/** Around the GUNs, so that no cache of one row helps. */
async function read(trust: Trust, path: string, connections: number, seconds: number): Promise<Sample> {
  const targets = [];
  for (const gun of trust.guns) {
    targets.push({ path: `/v2/${gun}/_trust/${path}`, authorization: await trust.authorize(gun) });
  }
  return askAround({ server: trust.server, targets, connections, seconds });
}

function readFeed({ server, guns }: Trust, seconds: number): Promise<Sample> {
  const targets = guns.map((_, at) => ({
    path: `/v2/_trust/changefeed?records=${PAGE}&change_id=${Math.floor((at * GUNS) / guns.length)}`,
    authorization: "",
  }));
  return askAround({ server, targets, connections: LIVE, seconds });
}

function fail(lane: string): never {
  throw new Error(`nothing was seeded for ${lane}`);
}
