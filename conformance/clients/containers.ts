/** buildah builds and pushes an image, podman pulls, pushes and lists it: from container storage, not from layouts. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { sha256 } from "../harness/registry-client.ts";
import { getTool, missingTools, mustRun, run } from "../harness/tools.ts";
import { assertPresent, clientEnv } from "./layout-clients.ts";
import { ANN, type World } from "./world.ts";

type Call = (...args: readonly string[]) => Promise<string>;

export async function checkContainers(world: World): Promise<void> {
  const missing = missingTools(["buildah", "podman"]);
  if (missing.length || process.getuid?.() !== 0) {
    const why = missing.length ? `${missing.join(", ")} not found` : "container storage of our own needs root";
    for (const name of ["buildah", "podman"]) world.report.skip(name, why);
    return;
  }
  const env = clientEnv(world, "containers");
  await checkLogin(world, env);
  const digest = await checkBuildah(world, open(world, "buildah", env), env);
  if (digest) await checkPodman(world, () => open(world, "podman", env), digest);
}

/** A program with container storage of its own, so that nothing is there before it pulls. */
function open(world: World, name: string, env: Record<string, string>): Call {
  const storage = world.folder(`${name}-storage`);
  const own = ["--root", join(storage, "root"), "--runroot", join(storage, "run"), "--storage-driver", "vfs"];
  if (name === "podman") own.push("--cgroup-manager", "cgroupfs", "--events-backend", "file");
  return (...args) => mustRun(getTool(name), [...own, ...args], { env });
}

async function checkLogin(world: World, env: Record<string, string>): Promise<void> {
  const { report, server } = world;
  for (const name of ["buildah", "podman"]) {
    const args = ["login", "-u", ANN.name, "--password-stdin", server.host];
    await report.check(`${name}: login, and with a wrong password refused`, async () => {
      const { status, stderr } = await run(getTool(name), args, { env, input: "wrong" });
      if (status === 0 || !/invalid username|unauthorized/i.test(stderr)) throw new Error(stderr);
      await mustRun(getTool(name), args, { env, input: ANN.password });
    });
  }
}

/** Returns the digest of the image it pushed. */
async function checkBuildah(world: World, buildah: Call, env: Record<string, string>): Promise<string | undefined> {
  const { report, server, tars } = world;
  const image = `${server.host}/ann/buildah:v1`;
  const file = join(env.HOME ?? "", "digest");
  let digest: string | undefined;
  await report.check("buildah: build from scratch and push", async () => {
    const container = (await buildah("from", "scratch")).trim();
    for (const { path } of tars) await buildah("add", container, path, "/");
    await buildah("config", "--cmd", "/bin/busybox sh", container);
    await buildah("commit", container, image);
    await buildah("push", "--digestfile", file, image, `docker://${image}`);
    const pushed = readFileSync(file, "utf8").trim();
    await assertPresent(world, "ann/buildah", pushed, "v1");
    digest = pushed;
    // The same files for another platform: what an index needs beside it.
    await buildah("config", "--arch", "arm64", container);
    await buildah("commit", container, `${image}-arm64`);
    await buildah("push", `${image}-arm64`, `docker://${image}-arm64`);
  });
  return digest;
}

async function checkPodman(world: World, open: () => Call, digest: string): Promise<void> {
  const { report, server } = world;
  const image = `${server.host}/ann/buildah`;
  for (const reference of [`${image}:v1`, `${image}@${digest}`]) {
    await report.check(
      `podman: pull by ${reference.includes("@") ? "digest" : "tag"} what buildah pushed`,
      async () => {
        const podman = open();
        await podman("pull", "--quiet", reference);
        const { body } = await world.direct.manifest("ann/buildah", digest);
        const config: unknown = JSON.parse(body.toString()).config.digest;
        const id = (await podman("image", "inspect", "--format", "sha256:{{.Id}} {{.Digest}}", reference)).trim();
        if (id !== `${config} ${digest}`) throw new Error(`podman has ${id}, pushed was ${config} ${digest}`);
      },
    );
  }
  await report.check("podman: push an index of two platforms, read back unchanged", async () => {
    const podman = open();
    const list = `${server.host}/ann/podman:list`;
    await podman("manifest", "create", "list");
    await podman("manifest", "add", "list", `docker://${image}:v1`);
    await podman("manifest", "add", "list", `docker://${image}:v1-arm64`);
    await podman("manifest", "push", "--all", "list", `docker://${list}`);
    const { status, body, headers } = await world.direct.manifest("ann/podman", "list");
    if (status !== 200 || sha256(body) !== headers["docker-content-digest"]) throw new Error(`${status} ${body}`);
    await open()("pull", "--quiet", list);
  });
}
