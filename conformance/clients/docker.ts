/** Docker's clients 20.10 and 28 through a real engine 20.10: the usual day, and the main story of two users. */
import { type Credentials, sha256 } from "../harness/registry-client.ts";
import { getTool, missingTools, type RunResult, run } from "../harness/tools.ts";
import { startDockerd } from "./dockerd.ts";
import { clientEnv } from "./layout-clients.ts";
import { pushLayout, TAG } from "./layouts.ts";
import { ANN, BOB, type World } from "./world.ts";

const CLIENTS = ["docker-20.10", "docker-28"];

/** One person at one docker client: an own folder for the credentials. */
interface Docker {
  readonly name: string;
  /** Runs to success and returns stdout and stderr. */
  run(...args: readonly string[]): Promise<string>;
  /** Runs and returns whatever came. */
  try(...args: readonly string[]): Promise<RunResult>;
  login(user: Credentials): Promise<RunResult>;
}

export async function checkDocker(world: World): Promise<void> {
  const missing = missingTools(["dockerd", ...CLIENTS]);
  if (missing.length || process.getuid?.() !== 0) {
    const why = missing.length ? `${missing.join(", ")} not found` : "an engine of our own needs root";
    for (const name of CLIENTS) world.report.skip(name, why);
    return;
  }
  const dockerd = await startDockerd(world.server.caPath);
  try {
    for (const name of CLIENTS) {
      await checkClient(world, openDocker(world, dockerd.socket, name));
      await checkStory(world, (who) => openDocker(world, dockerd.socket, name, who), name);
    }
  } finally {
    await dockerd.stop();
  }
}

function openDocker(world: World, socket: string, name: string, who = "ann"): Docker {
  const program = getTool(name);
  const env = clientEnv(world, `${name}-${who}`);
  const start = (args: readonly string[], input?: string) =>
    run(program, ["--host", socket, ...args], { env, ...(input === undefined ? {} : { input }) });
  return {
    name,
    run: async (...args) => {
      const { status, stdout, stderr } = await start(args);
      if (status !== 0) throw new Error(`${name} ${args.join(" ")} exited ${status}\n${stdout}${stderr}`);
      return stdout + stderr;
    },
    try: (...args) => start(args),
    login: (user) => start(["login", "--username", user.name, "--password-stdin", world.server.host], user.password),
  };
}

async function checkClient(world: World, docker: Docker): Promise<void> {
  const { report, server } = world;
  await report.check(`${docker.name}: login with a wrong password is refused`, async () => {
    const { status, stderr } = await docker.login({ ...ANN, password: "wrong" });
    if (status === 0 || !/unauthorized|incorrect username or password/i.test(stderr)) throw new Error(stderr);
  });
  await report.check(`${docker.name}: login`, async () => {
    const { status, stdout, stderr } = await docker.login(ANN);
    if (status !== 0 || !stdout.includes("Login Succeeded")) throw new Error(stdout + stderr);
  });
  for (const { name, path } of world.tars) {
    const image = `${server.host}/ann/${docker.name}:${name}`;
    await report.check(`${docker.name}: push ${name}, pull by tag and by digest, the same image`, async () => {
      await docker.run("import", "--change", 'CMD ["/bin/busybox", "sh"]', path, image);
      await checkRoundTrip(world, docker, image);
    });
  }
  await report.check(`${docker.name}: the second repository gets its layers by mount`, async () => {
    const copy = `${server.host}/ann/${docker.name}-mounted:v1`;
    await docker.run("tag", `${server.host}/ann/${docker.name}:busybox`, copy);
    const printed = await docker.run("push", copy);
    if (!printed.includes(`Mounted from ann/${docker.name}`)) throw new Error(printed);
  });
  await report.check(`${docker.name}: an index of two platforms, each pulled`, () => checkIndex(world, docker));
}

/** Image id = digest of the config, which names the digests of the layers: the engine checks them while pulling. */
async function checkRoundTrip(world: World, docker: Docker, image: string): Promise<void> {
  const id = await imageId(docker, image);
  const digest = /digest: (sha256:[0-9a-f]{64})/.exec(await docker.run("push", image))?.[1];
  if (!digest) throw new Error("docker push printed no digest");
  const [repository, tag] = splitImage(world, image);
  const { status, body } = await world.direct.manifest(repository, tag);
  if (status !== 200 || sha256(body) !== digest) throw new Error(`the registry's ${tag} is ${status} ${sha256(body)}`);

  for (const reference of [image, `${image.slice(0, image.lastIndexOf(":"))}@${digest}`]) {
    await docker.run("rmi", "--force", id);
    await docker.run("pull", reference);
    const pulled = await imageId(docker, reference);
    if (pulled !== id) throw new Error(`${reference} came back as ${pulled}, not ${id}`);
  }
  await docker.run("tag", id, image);
}

/**
 * An index that another client pushed: the engine picks the image of the platform it is asked for. (`docker manifest`
 * cannot make one here: towards a loopback address it speaks plain HTTP only.)
 */
async function checkIndex(world: World, docker: Docker): Promise<void> {
  const layout = world.layouts.find(({ name }) => name === "index");
  if (!layout) throw new Error("no index was made");
  await pushLayout(world, "ann/index", layout);
  const image = `${world.server.host}/ann/index:${TAG}`;
  for (const architecture of ["amd64", "arm64"]) {
    await docker.run("pull", "--platform", `linux/${architecture}`, image);
    const got = await docker.run("image", "inspect", "--format", "{{.Architecture}} {{.RepoDigests}}", image);
    if (!got.startsWith(architecture) || !got.includes(layout.digest)) throw new Error(got);
    await docker.run("rmi", "--force", image);
  }
}

/** ann's private repository: ann pulls, bob and a stranger are told what docker tells of an image that is not there. */
async function checkStory(world: World, open: (who: string) => Docker, name: string): Promise<void> {
  const { report, server } = world;
  const image = `${server.host}/ann/app:${name}`;
  const [ann, bob, stranger] = [open("story-ann"), open("story-bob"), open("story-nobody")];
  await report.check(`${name}: story: ann pushes to her private ann/app`, async () => {
    if ((await ann.login(ANN)).status !== 0) throw new Error("ann cannot log in");
    await ann.run("import", world.tars[0]?.path ?? "", image);
    await ann.run("push", image);
    await ann.run("rmi", "--force", image);
  });
  await report.check(`${name}: story: bob is logged in and refused on pull and on push`, async () => {
    if ((await bob.login(BOB)).status !== 0) throw new Error("bob cannot log in");
    assertRefused(await bob.try("pull", image));
    await bob.run("import", world.tars[0]?.path ?? "", `${server.host}/ann/app:stolen`);
    assertRefused(await bob.try("push", `${server.host}/ann/app:stolen`));
  });
  await report.check(`${name}: story: who is not logged in is refused`, async () => {
    assertRefused(await stranger.try("pull", image));
  });
  await report.check(`${name}: story: ann pulls it back`, async () => {
    await ann.run("pull", image);
  });
  await report.check(`${name}: story: after logout ann is refused too`, async () => {
    await ann.run("logout", server.host);
    await ann.run("rmi", "--force", image);
    assertRefused(await ann.try("pull", image));
  });
}

/** dockerd's own words, or, where the registry gives a reason, the registry's. */
const REFUSALS = [
  /pull access denied|requested access to the resource is denied|unauthorized/,
  /denied: .* does not allow to push to .*\(decision \w+\)/,
];

function assertRefused({ status, stdout, stderr }: RunResult): void {
  const text = stdout + stderr;
  if (status === 0) throw new Error(`let through:\n${text}`);
  if (!REFUSALS.some((refusal) => refusal.test(text))) throw new Error(text);
}

const imageId = async (docker: Docker, image: string): Promise<string> =>
  (await docker.run("image", "inspect", "--format", "{{.Id}}", image)).trim();

/** `127.0.0.1:1/ann/app:v1` → `["ann/app", "v1"]` */
function splitImage(world: World, image: string): [string, string] {
  const path = image.slice(world.server.host.length + 1);
  return [path.slice(0, path.lastIndexOf(":")), path.slice(path.lastIndexOf(":") + 1)];
}
