/** What every client case shares: a server, two users, images made on the spot, folders of their own. */
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Credentials, RegistryClient } from "../harness/registry-client.ts";
import type { Report } from "../harness/report.ts";
import { launcher, projectRoot, type RunningServer, startServer } from "../harness/server.ts";
import { cacheRoot, findTool, mustRun } from "../harness/tools.ts";
import { type Layout, tarOf, writeImage, writeIndex } from "./layouts.ts";

export const ANN: Credentials = { name: "ann", password: "ann-secret-1" };
export const BOB: Credentials = { name: "bob", password: "bob-secret-1" };

/** SIGTERM drains and exits within this. */
const DRAIN_SECONDS = 10;

export interface World {
  readonly report: Report;
  readonly server: RunningServer;
  /** Talks to the registry as ann, without any client's help. */
  readonly direct: RegistryClient;
  /** Uncompressed root file systems, for `docker import` and `buildah add`. */
  readonly tars: readonly { readonly name: string; readonly path: string }[];
  readonly layouts: readonly Layout[];
  /** A new empty folder. */
  folder(name: string): string;
  /** @throws Error unless the server drains and exits 0 in time */
  stop(): Promise<void>;
  removeFiles(): void;
}

/** `env` is for the server. */
export async function openWorld(report: Report, env: Readonly<Record<string, string>>): Promise<World> {
  const temp = mkdtempSync(join(tmpdir(), "goldseal-clients-"));
  const server = await startServer({ env, keepData: true });
  try {
    for (const user of [ANN, BOB]) await addUser(server, user);
    return { ...(await makeImages(temp)), ...makeWorld(report, server, temp) };
  } catch (error) {
    // A server left running would keep this process alive.
    await server.stop();
    for (const path of [temp, server.data]) rmSync(path, { recursive: true, force: true });
    throw error;
  }
}

function makeWorld(report: Report, server: RunningServer, temp: string): Omit<World, "tars" | "layouts"> {
  const direct = new RegistryClient(server, ANN);
  let count = 0;
  return {
    report,
    server,
    direct,
    folder: (name) => {
      const path = join(temp, `${++count}-${name}`);
      mkdirSync(path);
      return path;
    },
    stop: async () => {
      direct.close();
      const started = performance.now();
      const status = await server.stop();
      const seconds = (performance.now() - started) / 1000;
      if (status !== 0) throw new Error(`the server exited ${status} on SIGTERM:\n${server.output().slice(-4000)}`);
      if (seconds > DRAIN_SECONDS) throw new Error(`it took ${seconds.toFixed(1)} s`);
    },
    // Not while it stops: that takes the disk as long as it takes, and is nothing that the server does.
    removeFiles: () => {
      for (const path of [temp, server.data]) rmSync(path, { recursive: true, force: true });
    },
  };
}

/** As an operator does it: the command line over the public API, the password on stdin. */
export async function addUser(server: RunningServer, user: Credentials): Promise<void> {
  const args = [launcher, "user", "add", user.name, "--password-stdin", "--url", server.url, "--ca", server.caPath];
  await mustRun("node", args, {
    cwd: projectRoot,
    env: { GOLDSEAL_ADMIN_PASSWORD: server.admin.password },
    input: `${user.password}\n`,
  });
}

/** busybox-static `FROM scratch`, a whole Debian where provision made one, and an index of two platforms. */
async function makeImages(temp: string): Promise<Pick<World, "tars" | "layouts">> {
  const root = join(temp, "busybox");
  mkdirSync(join(root, "bin"), { recursive: true });
  copyFileSync(findStatic(), join(root, "bin", "busybox"));
  const extra = join(temp, "extra");
  mkdirSync(extra);
  writeFileSync(join(extra, "readme.txt"), "a second layer, only for arm64\n");

  const small = { name: "busybox", path: join(temp, "busybox.tar") };
  const busybox = await tarOf(root, small.path);
  const second = await tarOf(extra, join(temp, "extra.tar"));
  const layouts = [
    writeImage(join(temp, "layout-busybox"), "busybox", [busybox]),
    writeIndex(join(temp, "layout-index"), "index", busybox, second),
  ];
  const large = { name: "debian", path: join(cacheRoot, "debian-rootfs.tar") };
  if (!existsSync(large.path)) return { tars: [small], layouts };
  layouts.push(writeImage(join(temp, "layout-debian"), "debian", [readFileSync(large.path), second]));
  return { tars: [small, large], layouts };
}

/** Any program makes a layer; the static busybox makes one that also runs. */
const findStatic = (): string => findTool("busybox") ?? process.execPath;
