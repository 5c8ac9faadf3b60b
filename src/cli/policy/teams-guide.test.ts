/** docs/teams.md, line by line, and what each of its people may do then. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { acceptOrder } from "../../cluster-bridge/orders.ts";
import { ReplayStore } from "../../cluster-bridge/replay-store.ts";
import { basic, PUBLIC_URL } from "../../testing/open-test-app.ts";
import { openPolicy } from "../../trust/policy.ts";
import type { PolicyDocument } from "../../trust/policy-document.ts";
import { signOrder } from "../cluster/order-signature.ts";
import { generateSigningKey, type SigningKey, sealKey, toPublicPem } from "../docker-keys/signing-key.ts";
import { type Machine, useTrustLab } from "../trust/testing/trust-lab.ts";

const GUIDE = join(import.meta.dirname, "../../../docs/teams.md");
const REPOSITORY = "/v2/shop/app";

const lab = useTrustLab();
const passwords = new Map<string, string>();
const keys = new Map<string, SigningKey>();
let machine: Machine;
let replays: ReplayStore;

/** The commands up to where people try it, loops unrolled. */
async function readGuide(): Promise<string[]> {
  const [guide = ""] = (await readFile(GUIDE, "utf8")).split("Try it:");
  const lines = [...guide.matchAll(/^\$ (.*?)(?:\s+#.*)?$/gm)].map(([, line = ""]) => line);
  return lines.flatMap(unroll).flatMap((line) => line.split(" && "));
}

function unroll(line: string): string[] {
  const [, names, body = ""] = /^for user in (.*); do (.*); done$/.exec(line) ?? [];
  return names === undefined ? [line] : names.split(" ").map((name) => body.replaceAll("$user", name));
}

/** As a shell on one machine would; docker has its own tests. */
async function run(line: string): Promise<void> {
  const [, name = ""] = /^docker trust key generate (.*)$/.exec(line) ?? [];
  if (name !== "") return generateKey(name);
  if (!line.startsWith("goldseal ") || line === "goldseal login") return;
  const [, command = "", file] = /^goldseal (.*?)(?: > (\S+))?$/.exec(line.replaceAll("'", "")) ?? [];
  const [, bare = "", as = "admin"] = /^(.*?)(?: --as (\S+))?$/.exec(command) ?? [];
  const server = bare.startsWith("key add") ? ` --server ${PUBLIC_URL}` : "";
  const { status, out, err } = await machine.goldseal(
    `${bare.replace(/\bpolicy\./, `${machine.folder}/policy.`)}${server}`,
    {
      ...(bare.startsWith("policy sign") ? { port: "none", as: undefined } : { as }),
      ...(passwords.has(as) && { env: { GOLDSEAL_PASSWORD: passwords.get(as) } }),
    },
  );
  expect([line, status, err]).toEqual([line, 0, err]);
  const [, user = ""] = /^user add (.*)$/.exec(bare) ?? [];
  if (user !== "") passwords.set(user, out.trim());
  if (file !== undefined) await writeFile(join(machine.folder, file), out);
}

async function generateKey(name: string): Promise<void> {
  const key = generateSigningKey();
  keys.set(name, key);
  const folder = join(machine.folder, "trust", "private");
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, `${key.key.id}.key`), sealKey(key, "repopass123", name, undefined));
  await writeFile(join(machine.folder, `${name}.pub`), toPublicPem(key.key, name));
}

const keyOf = (name: string): SigningKey => keys.get(name) ?? generateSigningKey();

/** What the bridge reads that pins ann's key. */
async function readPolicy(): Promise<PolicyDocument> {
  const { status, body } = await lab.app().http.ask("GET", "/api/v1/policies/bridge", { as: "admin" });
  expect(status).toBe(200);
  return openPolicy(body, { keys: [keyOf("ann").key], threshold: 1, stored: undefined }).document;
}

beforeAll(async () => {
  machine = lab.openMachine("admin");
  await mkdir(machine.folder, { recursive: true });
  for (const line of await readGuide()) await run(line);
  replays = await ReplayStore.open(machine.folder);
});
afterAll(() => replays.close());

describe("docs/teams.md", () => {
  it("lets Ops deploy by the document that ann signed, and says so of nobody else", async () => {
    const { environments, teams } = await readPolicy();

    const prod = environments.get("prod");
    expect(Object.fromEntries(prod?.rights ?? [])).toEqual({ "shop/ops": "deploy" });
    expect(prod?.images).toEqual(["shop/*"]);
    expect(prod?.require).toEqual([{ team: "shop/qa", k: 1, class: "client-key" }]);
    expect([...teams].map(([team, people]) => [team, ...people])).toEqual([
      ["shop/ops", "oz"],
      ["shop/qa", "qia"],
    ]);
  });

  it.each<[string, RegExp]>([
    ["oz", /^oz$/],
    ["qia", /this key of qia is none of the operators of prod/],
    ["ann", /a key that the policy does not know/],
    ["dan", /a key that the policy does not know/],
  ])("has a bridge judge an order to deploy of %s", async (user, expected) => {
    const policy = await readPolicy();
    const body = Buffer.from('{"image":"shop/app:1","name":"app"}');
    const wanted = { environment: "prod", action: "service.deploy", spec: body } as const;

    const jws = signOrder({ environment: "prod", action: "service.deploy", body }, keyOf(user));
    const said = await acceptOrder({ policy, replays, now: new Date() }, jws, wanted).then(
      (order) => order.user,
      (error: Error) => error.message,
    );

    expect(said).toMatch(expected);
  });

  it.each([
    ["dan", [202, 200]],
    ["qia", [403, 200]],
    ["oz", [403, 200]],
    ["bob", [403, 404]],
  ])("has the registry let %s push and pull, or not", async (user, expected) => {
    const headers = { authorization: basic(user, passwords.get(user)) };
    const push = await lab.app().ask("POST", `${REPOSITORY}/blobs/uploads/`, { headers });
    const pull = await lab.app().ask("GET", `${REPOSITORY}/tags/list`, { headers });

    expect([push.status, pull.status]).toEqual(expected);
  });
});
