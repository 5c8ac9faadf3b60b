/** A database or a folder of blobs that was put back from a backup: what fsck says of it, and what the collector keeps. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { RegistryClient, sha256 } from "../harness/registry-client.ts";
import { freshFolder, startServer } from "../harness/server.ts";
import { mustRun, type RunResult } from "../harness/tools.ts";
import { checkImage, type Image, makeImage, pushImage } from "../replicas/image.ts";
import { expectExit, same } from "./cases.ts";
import { goldseal, ORGANIZATION } from "./world.ts";

const REPOSITORY = `${ORGANIZATION}/restored`;
const ENV = { GOLDSEAL_GC_EVERY_MINUTES: "off" };

/** One folder with all of it, as the embedded PostgreSQL has it. */
export async function checkRestore(): Promise<void> {
  const data = freshFolder();
  const [old, late] = [makeImage(50_000), makeImage(60_000)];
  const put = (from: string, to: string) => mustRun("cp", ["-a", join(data, from), join(data, to)]);
  const back = async (name: string): Promise<void> => {
    rmSync(join(data, name), { recursive: true });
    await put(`${name}.backup`, name);
  };
  try {
    await serve(data, async (client, cli) => {
      await client.ask(`/api/v1/orgs/${ORGANIZATION}`, { method: "PUT", body: Buffer.from("{}") });
      await pushImage(client, REPOSITORY, "old", old);
      expectExit(await cli("gc"), 0);
    });
    for (const name of ["postgres", "blobs"]) await put(name, `${name}.backup`);
    await serve(data, async (client) => pushImage(client, REPOSITORY, "late", late));

    // The database is older than the blobs, and no collection was between that would tell.
    await back("postgres");
    await serve(data, async (client, cli) => {
      // It gives rows to the bytes that have none, and would delete them a day later.
      expectExit(await cli("gc"), 0, "0 deleted");
      const found = await cli("fsck", "--repair");
      for (const blob of late.blobs) expectExit(found, 1, `${sha256(blob)} +surplus +none`);
      expectExit(found, 1, "goldseal gc --after-restore");
      expectExit(await cli("gc"), 1, "--after-restore");
      // The push that brings the rows back finds the bytes.
      await pushImage(client, REPOSITORY, "late", late);
      await checkImage(client, REPOSITORY, "late", late);
      expectExit(await cli("gc", "--after-restore"), 0);
      expectExit(await cli("fsck", "--all"), 0, " 0 findings");
      await checkImage(client, REPOSITORY, "late", late);
    });

    // The blobs are older than the database.
    await back("blobs");
    await serve(data, async (client, cli) => {
      const dry = await cli("fsck");
      for (const blob of late.blobs) expectExit(dry, 1, `${sha256(blob)} +missing +none`);
      expectExit(await cli("fsck", "--repair"), 1);
      await checkAbsent(client, late);
      await checkImage(client, REPOSITORY, "old", old);
      await pushImage(client, REPOSITORY, "late", late);
      await checkImage(client, REPOSITORY, "late", late);
    });
  } finally {
    rmSync(data, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}

type Cli = (...args: string[]) => Promise<RunResult>;

async function serve(data: string, work: (client: RegistryClient, cli: Cli) => Promise<void>): Promise<void> {
  const server = await startServer({ data, env: ENV, workers: 1 });
  const client = new RegistryClient(server, server.admin);
  try {
    await work(client, (...args) => goldseal(server.url, [...args, "--ca", server.caPath]));
  } finally {
    client.close();
    await server.stop();
  }
}

async function checkAbsent(client: RegistryClient, image: Image): Promise<void> {
  for (const blob of image.blobs) {
    const { status, body } = await client.ask(`/v2/${REPOSITORY}/blobs/${sha256(blob)}`);
    same("a blob that is missing", `${status} ${String(body).includes("BLOB_UNKNOWN")}`, "404 true");
  }
}
