/**
 * The day of two people who sign, in 39 steps: docker's commands first, then those of the notary program. Each must end as
 * it does against a real trust server; only the three that are marked so may fail.
 */
import { join } from "node:path";
import type { Dockerd } from "../clients/dockerd.ts";
import type { Report } from "../harness/report.ts";
import type { RunningServer } from "../harness/server.ts";
import type { RunResult } from "../harness/tools.ts";
import {
  BASE_IMAGE,
  type Command,
  openRoom,
  type Person,
  PRIVATE_ORG,
  PUBLIC_ORG,
  type Room,
  type Setting,
} from "./world.ts";

export interface Script {
  readonly report: Report;
  readonly server: RunningServer;
  readonly dockerd: Dockerd;
  /** `docker-20.10` or `docker-28`. */
  readonly docker: string;
  readonly setting: Setting;
}

export interface Step {
  readonly name: string;
  run(): Promise<RunResult>;
  /** Of the exit status; default: success. */
  readonly fails?: true;
  /** What it prints. */
  readonly prints?: RegExp;
}

const DCT = { env: { DOCKER_CONTENT_TRUST: "1" } };

export async function runScript(script: Script): Promise<void> {
  const room = openRoom(script.server);
  const title = `${script.docker}, ${script.setting.keys} keys, ${script.setting.challenge}`;
  await runSteps(script.report, title, [...dockerSteps(script, room), ...notarySteps(script, room)]);
  room.remove();
}

/** A step builds on those before it, so the first that goes wrong ends them; the rest count as failed. */
export async function runSteps(report: Report, title: string, steps: readonly Step[]): Promise<void> {
  let number = 0;
  let isBroken = false;
  for (const step of steps) {
    const name = `${title}: ${++number}/${steps.length} ${step.name}`;
    if (isBroken) report.fail(name, "a step before it went wrong");
    else isBroken = !(await report.check(name, () => checkStep(step)));
  }
}

async function checkStep({ run, fails, prints }: Step): Promise<void> {
  const { status, stdout, stderr } = await run();
  const text = stdout + stderr;
  if ((status !== 0) !== (fails === true)) throw new Error(`it exited ${status}:\n${text}`);
  if (prints !== undefined && !prints.test(text)) throw new Error(`it did not print ${prints}:\n${text}`);
}

function dockerSteps({ server, dockerd, docker: program }: Script, { people: { alice, bob } }: Room): Step[] {
  const image = `${server.host}/${PRIVATE_ORG}/app-${program}`;
  const pushed = `${server.host}/${PRIVATE_ORG}/dct-${program}`;
  const start = (client: string) => (who: Person, args: string, command?: Command) =>
    who.run(client, ["--host", dockerd.socket, ...args.split(" ")], command);
  const [docker, docker20] = [start(program), start("docker-20.10")];
  const tagAll = async (): Promise<RunResult> => {
    const names = [...[1, 2, 3].map((tag) => `${image}:${tag}`), `${pushed}:v1`, `${pushed}:v2`];
    const results = await Promise.all(names.map((name) => docker(alice, `tag ${BASE_IMAGE} ${name}`)));
    return results.find(({ status }) => status !== 0) ?? (results[0] as RunResult);
  };
  const witness = () =>
    alice.notary(["witness", "-p", image, "targets/releases"], { trustDir: join(alice.home, ".docker", "trust") });
  return [
    { name: "docker tag", run: tagAll },
    { name: "alice makes her key", run: () => docker(alice, "trust key generate alice") },
    {
      name: "signer add makes the repository",
      run: () => docker(alice, `trust signer add --key alice.pub alice ${image}`),
    },
    { name: "trust sign pushes and signs", run: () => docker(alice, `trust sign ${image}:1`) },
    { name: "trust inspect", run: () => docker(alice, `trust inspect ${image}:1`), prints: /"Name": "alice"/ },
    { name: "bob pulls what is signed", run: () => docker(bob, `pull ${image}:1`, DCT), prints: /Pull \(1 of 1\)/ },
    {
      name: "bob does not get what is not signed",
      run: () => docker(bob, `pull ${image}:nope`, DCT),
      fails: true,
      prints: /No valid trust data for nope/,
    },
    { name: "trust sign again sends no file", run: () => docker(alice, `trust sign ${image}:1`) },
    { name: "push with content trust", run: () => docker(alice, `push ${image}:2`, DCT) },
    { name: "bob makes his key", run: () => docker(bob, "trust key generate bob") },
    { name: "alice adds bob", run: () => docker(alice, `trust signer add --key bob.pub bob ${image}`) },
    { name: "bob signs", run: () => docker(bob, `trust sign ${image}:3`) },
    { name: "revoke a tag", run: () => docker(alice, `trust revoke ${image}:2`) },
    { name: "the revoked tag is not pulled", run: () => docker(bob, `pull ${image}:2`, DCT), fails: true },
    { name: "signer remove (20.10)", run: () => docker20(alice, `trust signer remove -f bob ${image}`) },
    { name: "notary witness signs the releases again", run: witness },
    { name: "bob pulls what he had signed", run: () => docker(bob, `pull ${image}:3`, DCT) },
    { name: "revoke all", run: () => docker(alice, `trust revoke -y ${image}`) },
    {
      name: "first push with content trust",
      run: () => docker(bob, `push ${pushed}:v1`, DCT),
      prints: /Finished initializing/,
    },
    { name: "second push with content trust", run: () => docker(bob, `push ${pushed}:v2`, DCT) },
    { name: "pull of every tag", run: () => docker(alice, `pull -a ${pushed}`, DCT) },
  ];
}

/** notary gives up on a Basic challenge when it reads, whatever the server lets anybody do: before it asks for anything. */
function withoutBasic({ name, run }: Step): Step {
  return { name: `${name} (notary reads without Basic)`, run, fails: true, prints: /no basic auth credentials/ };
}

function notarySteps({ server, docker, setting }: Script, { folder, people: { alice, bob } }: Room): Step[] {
  const gun = `${server.host}/${PUBLIC_ORG}/coll-${docker}`;
  const notary = (args: string, command?: Command) => alice.notary(args.split(" "), command);
  /** Signs in as nobody, and knows nothing but what the server says. */
  const reader = (args: string) =>
    alice.notary(args.split(" "), { trustDir: join(bob.home, ".notary"), env: { NOTARY_AUTH: "" } });
  const reads = (step: Step): Step => (setting.challenge === "bearer" ? step : withoutBasic(step));
  const listDelegations = {
    name: "list delegations",
    run: () => notary(`delegation list ${gun}`),
    // With a Basic challenge notary shows what it saw last.
    prints: setting.challenge === "bearer" ? /targets\/releases/ : /No delegations present/,
  };
  const yes = { input: "y\n".repeat(20) };
  const hello = join(folder, "hello.txt");
  return [
    { name: "notary init", run: () => notary(`init -p ${gun}`) },
    { name: "notary add", run: () => notary(`add -p ${gun} hello.txt ${hello}`) },
    reads({ name: "notary list by anybody", run: () => reader(`list ${gun}`), prints: /hello\.txt/ }),
    { name: "the server takes the snapshot key", run: () => notary(`key rotate ${gun} snapshot -r`) },
    { name: "notary add under the server's snapshot", run: () => notary(`add -p ${gun} h2 ${hello}`) },
    { name: "rotate the timestamp key", run: () => notary(`key rotate ${gun} timestamp -r`) },
    { name: "rotate the targets key", run: () => notary(`key rotate ${gun} targets`) },
    { name: "take the snapshot key back", run: () => notary(`key rotate ${gun} snapshot`) },
    { name: "rotate the root key", run: () => notary(`key rotate ${gun} root`, yes) },
    { name: "rotate the root key once more", run: () => notary(`key rotate ${gun} root`, yes) },
    reads({ name: "a reader follows over several roots", run: () => reader(`list ${gun}`), prints: /h2/ }),
    {
      name: "add a delegation",
      run: () => notary(`delegation add -p ${gun} targets/releases alice.pub --all-paths`),
    },
    listDelegations,
    { name: "remove the delegation", run: () => notary(`delegation remove -p -y ${gun} targets/releases`) },
    { name: "remove a target", run: () => notary(`remove -p ${gun} h2`) },
    { name: "verify a file", run: () => notary(`verify ${gun} hello.txt -i ${hello} -q`) },
    { name: "delete from the server", run: () => notary(`delete --remote ${gun}`) },
    reads({
      name: "what was deleted is not listed",
      run: () => notary(`list ${gun}`),
      fails: true,
      prints: /does not have trust data/,
    }),
  ];
}
