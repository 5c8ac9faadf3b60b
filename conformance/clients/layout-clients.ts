/** crane, skopeo, oras and regctl move whole OCI layouts: what went in must come back byte for byte. */
import { join } from "node:path";
import type { Credentials } from "../harness/registry-client.ts";
import { getTool, missingTools, mustRun, run } from "../harness/tools.ts";
import { assertSameLayout, type Layout, TAG } from "./layouts.ts";
import { ANN, type World } from "./world.ts";

interface LayoutClient {
  readonly name: string;
  /** Password on stdin where the client takes it so. */
  login(host: string, user: Credentials): { readonly args: readonly string[]; readonly input?: string };
  /** `layout` is a folder, `image` a reference with tag. */
  push(layout: string, image: string): readonly string[];
  /** `image` is a reference with tag or digest. */
  pull(image: string, layout: string): readonly string[];
  /** Deletes the manifest; `image` has a digest. */
  remove(image: string): readonly string[];
  /** Copies inside the registry; the blobs are mounted, not sent again. */
  copy(from: string, to: string): readonly string[];
}

const CLIENTS: readonly LayoutClient[] = [
  {
    name: "crane",
    login: (host, user) => ({
      args: ["auth", "login", host, "-u", user.name, "--password-stdin"],
      input: user.password,
    }),
    push: (layout, image) => ["push", layout, image],
    pull: (image, layout) => ["pull", "--format=oci", image, layout],
    remove: (image) => ["delete", image],
    copy: (from, to) => ["copy", from, to],
  },
  {
    name: "skopeo",
    login: (host, user) => ({ args: ["login", "-u", user.name, "--password-stdin", host], input: user.password }),
    push: (layout, image) => ["copy", "--all", "--preserve-digests", `oci:${layout}:${TAG}`, `docker://${image}`],
    pull: (image, layout) => ["copy", "--all", "--preserve-digests", `docker://${image}`, `oci:${layout}:${TAG}`],
    remove: (image) => ["delete", `docker://${image}`],
    copy: (from, to) => ["copy", "--all", "--preserve-digests", `docker://${from}`, `docker://${to}`],
  },
  {
    name: "oras",
    login: (host, user) => ({ args: ["login", host, "-u", user.name, "--password-stdin"], input: user.password }),
    push: (layout, image) => ["cp", "--from-oci-layout", `${layout}:${TAG}`, image],
    pull: (image, layout) => ["cp", image, "--to-oci-layout", `${layout}:${TAG}`],
    remove: (image) => ["manifest", "delete", "--force", image],
    copy: (from, to) => ["cp", from, to],
  },
  {
    name: "regctl",
    login: (host, user) => ({
      args: ["registry", "login", host, "-u", user.name, "--pass-stdin"],
      input: user.password,
    }),
    push: (layout, image) => ["image", "copy", `ocidir://${layout}:${TAG}`, image],
    pull: (image, layout) => ["image", "copy", image, `ocidir://${layout}:${TAG}`],
    remove: (image) => ["manifest", "delete", image],
    copy: (from, to) => ["image", "copy", from, to],
  },
];

/** Each client keeps its credentials in a folder of its own and trusts the server's CA and nothing else. */
export function clientEnv(world: World, name: string): Record<string, string> {
  const home = world.folder(`${name}-home`);
  return {
    HOME: home,
    XDG_RUNTIME_DIR: home,
    DOCKER_CONFIG: home,
    REGCTL_CONFIG: join(home, "regctl.json"),
    REGISTRY_AUTH_FILE: join(home, "auth.json"),
    SSL_CERT_FILE: world.server.caPath,
  };
}

export async function checkLayoutClients(world: World): Promise<void> {
  for (const client of CLIENTS) {
    if (missingTools([client.name]).length) world.report.skip(client.name, "not found");
    else await checkClient(world, client);
  }
}

async function checkClient(world: World, client: LayoutClient): Promise<void> {
  const { report, server } = world;
  const program = getTool(client.name);
  const env = clientEnv(world, client.name);
  const call = (args: readonly string[], input?: string) =>
    mustRun(program, args, { env, ...(input === undefined ? {} : { input }) });
  const repository = `ann/${client.name}`;

  await report.check(`${client.name}: login with a wrong password is refused`, async () => {
    const { args, input } = client.login(server.host, { ...ANN, password: "wrong" });
    const login = await run(program, args, { env, ...(input === undefined ? {} : { input }) });
    // crane only writes the credentials down; its first request is then what fails.
    const use = login.status === 0 ? await run(program, client.remove(`${server.host}/ann/x:v1`), { env }) : login;
    if (use.status === 0) throw new Error("accepted");
    if (!/unauthorized|401|denied|invalid username/i.test(use.stdout + use.stderr)) throw new Error(use.stderr);
  });
  await report.check(`${client.name}: login`, async () => {
    const { args, input } = client.login(server.host, ANN);
    await call(args, input);
  });
  for (const layout of world.layouts) await checkRoundTrip(world, client, layout, call);

  const first = world.layouts[0];
  if (!first) return;
  const source = `${server.host}/${repository}`;
  await report.check(`${client.name}: copy to another repository`, async () => {
    await call(client.copy(`${source}:${first.name}`, `${source}/copied:v1`));
    await assertPresent(world, `${repository}/copied`, first.digest);
  });
  await report.check(`${client.name}: delete by digest`, async () => {
    await call(client.remove(`${source}/copied@${first.digest}`));
    const { status } = await world.direct.manifest(`${repository}/copied`, first.digest);
    if (status !== 404) throw new Error(`the deleted manifest answers ${status}`);
  });
}

async function checkRoundTrip(
  world: World,
  client: LayoutClient,
  layout: Layout,
  call: (args: readonly string[]) => Promise<string>,
): Promise<void> {
  const { report, server } = world;
  const repository = `ann/${client.name}`;
  const image = `${server.host}/${repository}`;
  const pushed = await report.check(`${client.name}: push ${layout.name}`, async () => {
    await call(client.push(layout.path, `${image}:${layout.name}`));
    await assertPresent(world, repository, layout.digest, layout.name);
  });
  if (!pushed) return;
  for (const reference of [`:${layout.name}`, `@${layout.digest}`]) {
    const by = reference.startsWith(":") ? "tag" : "digest";
    await report.check(`${client.name}: pull ${layout.name} by ${by}, byte for byte`, async () => {
      const target = join(world.folder("pulled"), "layout");
      await call(client.pull(`${image}${reference}`, target));
      assertSameLayout(layout, target);
    });
  }
}

/** The registry, asked directly, has this manifest under its digest and (where given) the tag. */
export async function assertPresent(world: World, repository: string, digest: string, tag?: string): Promise<void> {
  for (const reference of tag === undefined ? [digest] : [digest, tag]) {
    const { status, headers } = await world.direct.manifest(repository, reference, "HEAD");
    const got = headers["docker-content-digest"];
    if (status !== 200 || got !== digest)
      throw new Error(`${repository} ${reference}: ${status} ${got}, not ${digest}`);
  }
}
