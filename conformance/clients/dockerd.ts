/** A Docker engine of the suite's own: own root, own socket, no bridge, no firewall rule, nothing left behind. */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { cacheBin, getTool, mustRun, run } from "../harness/tools.ts";

const START_SECONDS = 60;

export interface Dockerd {
  /** `unix:///…/docker.sock` */
  readonly socket: string;
  stop(): Promise<void>;
}

/**
 * The engine treats every registry on a loopback address as insecure: it speaks TLS to ours but would also take another
 * certificate. That the certificate is right is what the other clients check.
 */
export async function startDockerd(caPath: string): Promise<Dockerd> {
  // A short path: a socket's name has at most 108 characters.
  const root = mkdtempSync(join(tmpdir(), "gs-dockerd-"));
  const socket = `unix://${join(root, "docker.sock")}`;
  // The machine's own /etc/docker/daemon.json must not reach this one.
  writeFileSync(join(root, "daemon.json"), "{}");
  const args = ["--host", socket, "--data-root", join(root, "data"), "--exec-root", join(root, "exec")];
  args.push("--pidfile", join(root, "docker.pid"), "--config-file", join(root, "daemon.json"));
  args.push("--iptables=false", "--ip6tables=false", "--bridge=none", "--storage-driver=vfs");
  const child = spawn(getTool("dockerd"), args, {
    // Its own containerd and runc stand beside it.
    env: { ...process.env, PATH: `${cacheBin}:${process.env.PATH}`, SSL_CERT_FILE: caPath },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  let log = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (log += text));
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const signalGroup = (signal: NodeJS.Signals) =>
    child.pid && child.exitCode === null && child.signalCode === null && process.kill(-child.pid, signal);
  const endWithUs = () => void signalGroup("SIGTERM");
  process.once("exit", endWithUs);

  const stop = async () => {
    child.kill("SIGTERM");
    await Promise.race([exited, delay(15_000, undefined, { ref: false })]);
    signalGroup("SIGKILL");
    await exited;
    process.removeListener("exit", endWithUs);
    unmountBelow(root);
    rmSync(root, { recursive: true, force: true });
  };
  try {
    await waitUntilUp(socket, () => child.exitCode !== null);
  } catch (error) {
    await stop();
    throw new Error(`dockerd did not start: ${error instanceof Error ? error.message : error}\n${log.slice(-4000)}`);
  }
  return { socket, stop };
}

async function waitUntilUp(socket: string, hasExited: () => boolean): Promise<void> {
  const docker = getTool("docker-20.10");
  for (let i = 0; i < START_SECONDS * 2; i++) {
    if (hasExited()) throw new Error("it exited");
    if (existsSync(socket.slice("unix://".length))) {
      const { status } = await run(docker, ["--host", socket, "version"], { timeoutSeconds: 20 });
      if (status === 0) return;
    }
    await delay(500);
  }
  await mustRun(docker, ["--host", socket, "version"], { timeoutSeconds: 20 });
}

/** The engine bind-mounts its data folder onto itself and leaves that behind. */
function unmountBelow(root: string): void {
  const { stdout } = spawnSync("findmnt", ["--raw", "--noheadings", "--output", "TARGET"], { encoding: "utf8" });
  const mounts = stdout.split("\n").filter((path) => path.startsWith(`${root}/`));
  for (const path of mounts.reverse()) spawnSync("umount", ["--lazy", path]);
}
