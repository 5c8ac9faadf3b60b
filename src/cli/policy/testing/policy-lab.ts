/** An organization whose people have proved keys, and a policy that is drafted from them. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, beforeEach, expect } from "vitest";
import { PUBLIC_URL } from "../../../testing/open-test-app.ts";
import { generateSigningKey, sealKey, toPublicPem } from "../../docker-keys/signing-key.ts";
import { type Machine, useTrustLab } from "../../trust/testing/trust-lab.ts";

export const PROD =
  "--environment prod --images ops/*,gold/** --require acme/qa:2@qa/{name},* --rights acme/ops=deploy --operators alice --timestamp-age 48h";

const SETUP = [
  "org create acme",
  "member add acme alice bob",
  "team create acme qa alice bob",
  "team create acme ops alice",
];

/** A key such as docker trust key generate makes, proved where somebody owns it; its id. */
export async function makeKey(
  { folder, goldseal }: Machine,
  name: string,
  options: { owned?: boolean } = {},
): Promise<string> {
  const key = generateSigningKey();
  await mkdir(join(folder, "trust", "private"), { recursive: true });
  const path = join(folder, "trust", "private", `${key.key.id}.key`);
  await writeFile(path, sealKey(key, "repopass123", name, undefined));
  await writeFile(join(folder, `${name}.pub`), toPublicPem(key.key, name));
  if (options.owned !== false)
    expect(await goldseal(`key add ${name} --server ${PUBLIC_URL}`)).toMatchObject({ status: 0 });
  return key.key.id;
}

/** For every test of a file; before each there is no policy. */
export function usePolicyLab() {
  const lab = useTrustLab();
  const people: Record<string, Machine> = {};
  const keys: Record<"alice" | "bob", string> = { alice: "", bob: "" };
  const machineOf = (name: string): Machine => people[name] ?? lab.openMachine(name);
  beforeAll(async () => {
    for (const name of ["admin", "alice", "bob"]) people[name] = lab.openMachine(name);
    for (const line of SETUP) expect(await machineOf("admin").goldseal(line)).toMatchObject({ status: 0 });
    for (const name of ["alice", "bob"] as const) keys[name] = await makeKey(machineOf(name), name);
  });
  beforeEach(async () => {
    await lab.app().database.query("", "truncate bridge_policies");
  });

  /** Path of a new file. */
  const draft = async (name: string, options = PROD): Promise<string> => {
    const { status, out, err } = await machineOf("admin").goldseal(`policy draft ${options}`.trimEnd());
    expect([status, err]).toEqual([0, ""]);
    const { folder } = lab.openMachine("files");
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, name), out);
    return join(folder, name);
  };
  /** Path of the signed file. */
  const signedBy = async (path: string, ...signers: readonly Machine[]): Promise<string> => {
    const signed = path.replace(/\.json$/, ".dsse.json");
    for (const [index, { goldseal }] of signers.entries())
      expect(await goldseal(`policy sign ${index === 0 ? path : signed}`)).toMatchObject({ status: 0 });
    return signed;
  };
  return { ...lab, keys, machineOf, draft, signedBy };
}
