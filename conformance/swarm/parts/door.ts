/**
 * The door as operators use it: `goldseal deploy`, `rollback`, `services rm` and `break-glass`, signed here, relayed by the registry,
 * judged by the bridge, on record in both.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Report } from "../../harness/report.ts";
import { until } from "../lab/engine.ts";
import { equal, journal, running } from "../looking.ts";
import type { SigningKey } from "../signing.ts";
import type { World } from "../world.ts";
import { RUNS } from "./deploying.ts";

const SERVICE = "door";

export async function door(world: World, report: Report): Promise<void> {
  const [operator, officer] = [keyFile(world, "operator", world.operator), keyFile(world, "officer", world.officer)];
  const order = (...args: readonly string[]) => world.tryGoldseal(...args, "--environment", "prod", "--key", operator);
  const [one, two] = [await release(world, "door-1"), await release(world, "door-2")];
  const unsigned = world.pin(await world.push("door-unsigned", `echo unsigned; ${RUNS}`));
  await checkDeploy(report, world, { order, one, two });
  await checkRefused(report, world, { order, unsigned });
  await checkBreakGlass(report, world, { order, unsigned, operator, officer });
  await checkSilence(report, world, { order, one });
  await report.check("goldseal services rm removes the service from every node", async () => {
    equal(await order("services", "rm", SERVICE).then(({ status, stderr }) => [status, stderr]), [
      0,
      `removed ${SERVICE}\n`,
    ]);
    await until("no task of it is left", async () => (await running(world, SERVICE)).length === 0);
  });
}

type Order = (...args: readonly string[]) => ReturnType<World["tryGoldseal"]>;

function keyFile({ folder }: World, name: string, { privateKey }: SigningKey): string {
  const path = join(folder, `${name}.pem`);
  writeFileSync(path, privateKey.export({ format: "pem", type: "pkcs8" }), { mode: 0o600 });
  return path;
}

/** The image by its digest, signed. */
async function release(world: World, tag: string): Promise<string> {
  const digest = await world.push(tag, `echo ${tag}; ${RUNS}`);
  await world.sign(tag);
  return world.pin(digest);
}

const imagesOf = async (world: World): Promise<string[]> => (await running(world, SERVICE)).map(({ image }) => image);

async function checkDeploy(
  report: Report,
  world: World,
  { order, one, two }: { readonly order: Order; readonly one: string; readonly two: string },
): Promise<void> {
  await report.check(
    "goldseal deploy, through the registry: the digest runs that was signed, and it says how it goes",
    async () => {
      const { status, stdout, stderr } = await order(
        "deploy",
        world.image("door-1"),
        "--name",
        SERVICE,
        "--replicas",
        "2",
      );
      equal([status, stdout], [0, `${one}\n`]);
      if (!stderr.includes(`${one}: 2 of 2 running`)) throw new Error(stderr);
      equal(await imagesOf(world), [one, one]);
    },
  );
  await report.check("goldseal deploy -f FILE --json: an update, line by line", async () => {
    const file = join(world.folder, "door.yaml");
    const update = "update: {parallelism: 2, monitor: 1s}";
    writeFileSync(
      file,
      `name: ${SERVICE}\nimage: ${world.image("door-2")}\nreplicas: 2\nenv: {COLOUR: blue}\n${update}\n`,
    );
    const { status, stdout } = await order("deploy", "-f", file, "--json");
    const lines = stdout.trimEnd().split("\n");
    equal([status, JSON.parse(lines.at(-1) ?? "")], [0, { outcome: { kind: "deployed", pinned: two } }]);
    if (lines.length < 2) throw new Error("no progress was told");
    equal(await imagesOf(world), [two, two]);
  });
  await report.check(
    "goldseal rollback: what ran before runs again, and there is no going back to what was taken back",
    async () => {
      const [back, again] = [await order("rollback", SERVICE), await order("rollback", SERVICE)];
      equal([back.status, back.stdout, again.status], [0, `${one}\n`, 1]);
      if (!again.stderr.includes("(404 missing)")) throw new Error(again.stderr);
      equal(await imagesOf(world), [one, one]);
    },
  );
}

async function checkRefused(
  report: Report,
  world: World,
  { order, unsigned }: { readonly order: Order; readonly unsigned: string },
): Promise<void> {
  await report.check(
    "what is not signed is refused with who, what, why, and on record in the registry and the bridge",
    async () => {
      const { status, stderr } = await order("deploy", unsigned, "--name", SERVICE);
      equal(status, 1);
      for (const part of ["does not let ann deploy", "(403 unsigned)", "goldseal trust sign"])
        if (!stderr.includes(part)) throw new Error(`${part} is missing in\n${stderr}`);
      const [, decision = ""] = /goldseal why ([a-z0-9]{16})/.exec(stderr) ?? [];
      const found = JSON.parse(await world.api("GET", `/api/v1/explain/${decision}`));
      equal(
        [found.actor, found.action, found.outcome, found.target],
        ["ann", "service.deploy", "refused", `prod/${SERVICE}`],
      );
      const last = journal(world).findLast(({ event }) => event === "refused");
      equal([last?.action, last?.code], ["service.deploy", "UNSIGNED"]);
    },
  );
  await report.check("an order by another key is refused, though ann is signed in", async () => {
    const { status, stderr } = await world.tryGoldseal("deploy", unsigned, "--environment", "prod", "--key", "ann");
    equal(status, 1);
    if (!stderr.includes("(403 order)")) throw new Error(stderr);
  });
}

async function checkBreakGlass(
  report: Report,
  world: World,
  {
    order,
    unsigned,
    operator,
    officer,
  }: Readonly<Record<"unsigned" | "operator" | "officer", string>> & { readonly order: Order },
): Promise<void> {
  const file = join(world.folder, "glass.json");
  const reason = ["--reason", "the signer's token is broken, INC-1234"];
  await report.check("a break-glass statement that an operator signed lets nothing run", async () => {
    writeFileSync(file, await world.goldseal("break-glass", "draft", unsigned, "--environment", "prod", ...reason));
    const signed = join(world.folder, "operator.dsse.json");
    await world.goldseal("break-glass", "sign", file, "--key", operator, "--output", signed);
    const { status, stderr } = await order("deploy", "--break-glass", signed, "--name", SERVICE);
    equal(status, 1);
    if (!stderr.includes("signed by 0 of the keys that count")) throw new Error(stderr);
  });
  await report.check("signed by the holder of the policy key it does, and the journal says why", async () => {
    await world.goldseal("break-glass", "sign", file, "--key", officer);
    const { status, stdout, stderr } = await order(
      "deploy",
      "--break-glass",
      join(world.folder, "glass.dsse.json"),
      "--name",
      SERVICE,
    );
    equal([status, stdout], [0, `${unsigned}\n`]);
    if (!stderr.includes("running")) throw new Error(stderr);
    equal(await imagesOf(world), [unsigned]);
    const intent = journal(world).findLast(({ event, service }) => event === "intent" && service === SERVICE);
    equal([intent?.user, intent?.because], ["olga", "break-glass: the signer's token is broken, INC-1234"]);
  });
}

/** The only manager dies while a deployment is under way, and comes back. */
async function checkSilence(
  report: Report,
  world: World,
  { order, one }: { readonly order: Order; readonly one: string },
): Promise<void> {
  await report.check(
    "a deployment whose engine falls silent goes on when it speaks again, and the bridge stays up",
    async () => {
      const begun = journal(world).length;
      const deployed = order("deploy", world.image("door-1"), "--name", SERVICE, "--replicas", "3");
      const sent = () =>
        journal(world)
          .slice(begun)
          .some(({ event }) => event === "sent");
      await until("the engine was told", async () => sent());
      await world.lab.node("m1").kill();
      await world.lab.node("m1").start();
      const { status, stdout, stderr } = await deployed;
      equal([status, stdout, status === 0 ? "" : stderr], [0, `${one}\n`, ""]);
      await world.lab.ready();
      await until("all three run", async () => (await imagesOf(world)).filter((image) => image === one).length === 3);
    },
  );
}
