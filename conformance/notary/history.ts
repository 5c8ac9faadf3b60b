/**
 * A random history of one GUN: targets come and go, delegations too, and every key is rotated. After each publish a reader that
 * knows what it saw before, and now and then one that knows nothing, must accept all that is served and see every target.
 */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { Random } from "../crash/random.ts";
import type { Report } from "../harness/report.ts";
import { missingTools, type RunResult } from "../harness/tools.ts";
import { openRoom, openTrustServer, type Person, PUBLIC_ORG } from "./world.ts";

export interface HistoryOptions {
  readonly publishes: number;
  readonly seed: string;
}

interface History {
  readonly gun: string;
  readonly alice: Person;
  readonly hello: string;
  readonly random: Random;
  readonly targets: Set<string>;
  /** Kinds of steps and how often each was taken. */
  readonly taken: Map<string, number>;
  delegated: boolean;
}

const YES = { input: "y\n".repeat(20) };
/** A reader that begins anew, every so many publishes. */
const freshEvery = 10;

export async function checkHistory(report: Report, { publishes, seed }: HistoryOptions): Promise<void> {
  const name = `history of ${publishes} publishes with rotations, seed ${seed}`;
  const missing = missingTools(["notary", "docker-28"]);
  if (missing.length > 0) return report.skip(name, `${missing.join(", ")} not found`);
  const { server, stop } = await openTrustServer({ keys: "ed25519", challenge: "bearer" });
  const room = openRoom(server);
  const { alice } = room.people;
  const gun = `${server.host}/${PUBLIC_ORG}/history`;
  const hello = join(room.folder, "hello.txt");
  const random = new Random(seed);
  const history: History = { gun, alice, hello, random, targets: new Set(), taken: new Map(), delegated: false };
  try {
    await report.check(name, () => live(history, publishes));
    const steps = [...history.taken].map(([step, count]) => `${step} ${count}`).join(", ");
    console.log(`history: seed ${seed}: ${steps}`);
  } finally {
    room.remove();
    await stop();
  }
}

async function live(history: History, publishes: number): Promise<void> {
  await must(history, "alice.pub", () => history.alice.run("docker-28", ["trust", "key", "generate", "alice"]));
  await must(history, "init", () => history.alice.notary(["init", "-p", history.gun]));
  for (let count = 1; count <= publishes; count++) {
    await step(history, count);
    await read(history, "reader");
    if (count % freshEvery !== 0) continue;
    rmSync(join(history.alice.home, "fresh"), { recursive: true, force: true });
    await read(history, "fresh");
  }
}

async function step(history: History, count: number): Promise<void> {
  const { random, gun, hello, targets } = history;
  const notary = (name: string, args: readonly string[]) => must(history, name, () => history.alice.notary(args, YES));
  const dice = random.next();
  if (dice < 0.08) return notary("root", ["key", "rotate", gun, "root"]);
  if (dice < 0.16) return notary("timestamp", ["key", "rotate", gun, "timestamp", "-r"]);
  if (dice < 0.24) return notary("targets", ["key", "rotate", gun, "targets"]);
  if (dice < 0.32) return notary("snapshot to the server", ["key", "rotate", gun, "snapshot", "-r"]);
  if (dice < 0.38) return notary("snapshot to the client", ["key", "rotate", gun, "snapshot"]);
  if (dice < 0.48) {
    history.delegated = !history.delegated;
    if (!history.delegated) return notary("delegation remove", ["delegation", "remove", "-p", "-y", gun, "targets/qa"]);
    return notary("delegation add", ["delegation", "add", "-p", gun, "targets/qa", "alice.pub", "--all-paths"]);
  }
  const old = dice < 0.58 ? random.pick([...targets]) : undefined;
  if (old !== undefined) {
    targets.delete(old);
    return notary("remove", ["remove", "-p", gun, old]);
  }
  targets.add(`t${count}`);
  return notary("add", ["add", "-p", gun, `t${count}`, hello]);
}

/** Signs in as nobody; what it knows is in the folder `who`. */
async function read(history: History, who: string): Promise<void> {
  const { gun, alice, targets } = history;
  const options = { trustDir: join(alice.home, who), env: { NOTARY_AUTH: "" } };
  const { status, stdout, stderr } = await alice.notary(["list", gun], options);
  const seen = [...stdout.matchAll(/^(t\d+)\s/gm)].map(([, name]) => name).toSorted();
  const isRight = JSON.stringify(seen) === JSON.stringify([...targets].toSorted());
  // What it cannot check it would serve from its cache, and say so.
  if (status !== 0 || !isRight || /cached/.test(stderr)) throw new Error(`${who} sees ${seen}\n${stdout}${stderr}`);
}

async function must({ taken }: History, name: string, run: () => Promise<RunResult>): Promise<void> {
  const { status, stdout, stderr } = await run();
  taken.set(name, (taken.get(name) ?? 0) + 1);
  if (status !== 0) throw new Error(`${name} exited ${status}\n${stdout}${stderr}`);
}
