/** P1 of the hardening list: PostgreSQL restarts, drops connections, runs out of them, or is a standby, while clients push. */
import { Client } from "pg";
import type { Report } from "../harness/report.ts";
import { same } from "./image.ts";
import { checkAll, type Load, startLoad } from "./load.ts";
import { until } from "./nginx.ts";
import { morePushes } from "./restarts.ts";
import type { World } from "./world.ts";

const LOAD = { pushers: 6, pullers: 3 };
const RESTARTS = 5;
const RECOVERY_MS = 5_000;

export async function checkDatabaseFaults(report: Report, world: World): Promise<void> {
  const check = (name: string, fault: Fault) => report.check(name, () => underLoad(world, fault));
  await check(`PostgreSQL crashes and comes back, ${RESTARTS} times`, crash);
  await check("every connection is ended by the database, again and again", terminateAll);
  await check("another program takes every connection the database has", exhaust);
  await check("the database becomes a read-only standby for a while", standby);
}

type Fault = (world: World, load: Load) => Promise<void>;

/** Runs one fault and asks for what holds in all: the same processes, 503 and nothing else, nothing acknowledged lost. */
async function underLoad(world: World, fault: Fault): Promise<void> {
  const pids = world.replicas.map(({ server }) => server().pid);
  const load = startLoad(world.nginx, LOAD);
  try {
    await morePushes(load);
    await fault(world, load);
    await morePushes(load);
  } finally {
    await load.stop();
  }
  same("process ids", String(world.replicas.map(({ server }) => server().pid)), String(pids));
  for (const { server } of world.replicas) {
    if (server().output().includes("worker.died")) throw new Error("a worker died");
  }
  // A blob whose upload was cut by a 503 that the client does not repeat is asked for again in vain: 404 is its honest end.
  const strange = load.errors.filter((error) => !/answered 503, not/.test(error) && !/: 503, not 200/.test(error));
  if (strange.length > 0) throw new Error(`answers other than 503:\n${strange.slice(0, 5).join("\n")}`);
  await checkAll(world.client, load);
  console.log(`        ${load.pushed.length} acknowledged, 0 lost; ${load.errors.length} answers of 503`);
}

const crash: Fault = async ({ postgres }, load) => {
  const recoveries: number[] = [];
  for (let turn = 0; turn < RESTARTS; turn++) {
    await postgres.stop("immediate");
    await postgres.start();
    recoveries.push(await timeToPush(load));
    await morePushes(load, 5);
  }
  reportRecovery(recoveries);
};

const terminateAll: Fault = async (world, load) => {
  const recoveries: number[] = [];
  for (let turn = 0; turn < 20; turn++) {
    await withClient(world, (sql) =>
      sql.query(
        "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and backend_type = 'client backend'",
      ),
    );
    recoveries.push(await timeToPush(load));
  }
  reportRecovery(recoveries);
};

/** Ends the product's connections and takes their places faster than it can. */
const exhaust: Fault = async (world, load) => {
  const held: Client[] = [];
  for (let turn = 0; turn < 200; turn++) {
    const client = new Client({ connectionString: world.postgres.url });
    client.on("error", () => undefined);
    const connected = await client.connect().then(
      () => true,
      () => false,
    );
    if (!connected) break;
    held.push(client);
  }
  const [first] = held;
  await first
    ?.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'goldseal%' or (query <> '' and pid <> pg_backend_pid() and state is not null)",
    )
    .catch(() => undefined);
  await Promise.allSettled(held.map((client) => client.end()));
  reportRecovery([await timeToPush(load)]);
};

const standby: Fault = async ({ postgres, replicas }, load) => {
  await postgres.stop("fast");
  postgres.becomeStandby();
  await postgres.start();
  await until(async () => (await statuses(replicas)).every((status) => status === 503));
  const before = load.pushed.length;
  const errors = load.errors.length;
  await until(() => load.errors.length > errors + 20);
  same("pushes acknowledged by a standby", load.pushed.length, before);
  await postgres.promote();
  reportRecovery([await timeToPush(load)]);
};

const statuses = (replicas: World["replicas"]): Promise<number[]> =>
  Promise.all(replicas.map(async ({ port }) => (await fetch(`http://127.0.0.1:${port}/readyz`)).status));

/** Milliseconds until an image that began after now, or was under way, is acknowledged. */
async function timeToPush({ pushed }: Load): Promise<number> {
  const [start, count] = [performance.now(), pushed.length];
  await until(() => pushed.length > count);
  return performance.now() - start;
}

function reportRecovery(recoveries: readonly number[]): void {
  const longest = Math.max(...recoveries);
  console.log(`        recovered within ${longest.toFixed(0)} ms at worst`);
  if (longest > RECOVERY_MS) throw new Error(`recovery took ${longest.toFixed(0)} ms, more than ${RECOVERY_MS}`);
}

async function withClient(world: World, act: (client: Client) => Promise<unknown>): Promise<void> {
  const client = new Client({ connectionString: world.postgres.url });
  client.on("error", () => undefined);
  await client.connect();
  await act(client).finally(() => client.end());
}
