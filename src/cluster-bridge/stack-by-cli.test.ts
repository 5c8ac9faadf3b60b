import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { useOperatorLab } from "./testing/operator-lab.ts";

const { lab, bob, pinned } = useOperatorLab({
  signed: ["1", "2"],
  prod: { specLimits: { secrets: ["shop_key"] } },
});
const image = (tag: string) => `${lab().authority}/alice/app:${tag}`;

/** Its path. `%` stands for the dollar. */
async function write(text: string): Promise<string> {
  const file = join(lab().home, "compose.yml");
  await writeFile(file, text.replaceAll("%", "$"));
  await writeFile(join(lab().home, "key.txt"), "s3cret");
  return file;
}

const QUICK = "deploy: {update_config: {monitor: 1ms}}";

const two = (web: string, more = "") => `
services:
  web: {image: "${image(web)}", secrets: [key], environment: {DATA: "%GOLDSEAL_DATA"}, ${QUICK}}
  db: {image: "${image("1")}", ${QUICK}}
${more}
secrets: {key: {file: ./key.txt}}
`;

describe("goldseal stack", () => {
  it("deploys a compose file with the files beside it and the variables of here, and removes it", async () => {
    const run = await bob(`stack deploy -c ${await write(two("%{TAG:-2}"))} shop`);

    expect(run).toMatchObject({ status: 0, out: `shop_web ${pinned("2")}\nshop_db ${pinned("1")}\n` });
    expect(run.err).toMatch(/^made the secret shop_key_[0-9a-f]{16}\nmade the network shop_default\n/);
    const spec = lab().engine.find("shop_web")?.Spec.TaskTemplate.ContainerSpec;
    expect(spec).toMatchObject({ Env: ["DATA=/nonexistent"], Secrets: [{ File: { Name: "key" } }] });
    expect(lab().engine.parts.parts.find(({ kind }) => kind === "secrets")?.body.Data).toBe(btoa("s3cret"));

    const removal = await bob("stack rm shop");

    expect(removal).toMatchObject({ status: 0, out: "" });
    expect(removal.err).toMatch(/^removed the service shop_\w+\nremoved the service shop_\w+\n/);
    expect([lab().engine.images, lab().engine.parts.names]).toEqual([{}, []]);
  });

  it("removes what the file has no longer with --prune", async () => {
    await bob(`stack deploy -c ${await write(two("1", `  job: {image: "${image("1")}", ${QUICK}}`))} shop`);

    const run = await bob(`stack deploy --prune -c ${await write(two("1"))} shop`);

    expect(run.err).toContain("removed the service shop_job\n");
    expect(Object.keys(lab().engine.images).toSorted()).toEqual(["shop_db", "shop_web"]);
  });

  it("fails where one service does, and says what became of each", async () => {
    await bob(`stack deploy -c ${await write(two("1"))} shop`);
    lab().engine.broken.add(pinned("2"));

    const { status, out, err } = await bob(`stack deploy -c ${await write(two("2"))} shop`);

    expect([status, out]).toEqual([1, ""]);
    expect(err).toContain(`shop_web: update paused due to failure (rolled back to ${pinned("1")})\n`);
    expect(err).toContain("shop_db is as it was ordered\n");
  });

  it("names everything in a file that a Swarm has not, and signs nothing", async () => {
    const file = await write(`services: {web: {image: x, build: ., privileged: true}}\nfoo: 1\n`);

    const { status, out, err } = await bob(`stack deploy -c ${file} shop`);

    expect([status, out]).toEqual([1, ""]);
    for (const path of ["services.web.build", "services.web.privileged", "foo"]) expect(err).toContain(`${path}: `);
    expect(lab().engine.asked.filter((line) => !line.startsWith("GET"))).toEqual([]);
  });

  it("prints what would be signed, and says what is done otherwise", async () => {
    const more = "    deploy: {rollback_config: {parallelism: 2}}";
    const file = await write(`services:\n  web:\n    image: r/a/b:1\n${more}\n`);

    const { status, out, err } = await lab().goldseal("bob", `stack config -c ${file} shop`);

    expect([status, err]).toEqual([0, expect.stringMatching(/^note: services.web.deploy.rollback_config: .*\n$/)]);
    expect(JSON.parse(out)).toEqual({
      ...{ name: "shop", networks: { default: {} } },
      services: { web: { image: "r/a/b:1", networks: ["default"] } },
    });
  });

  it("is wrong without a file, and says which file cannot be read", async () => {
    expect(await bob("stack deploy shop")).toMatchObject({ status: 2, err: expect.stringContaining("of which file?") });
    expect(await bob("stack deploy -c /nowhere shop")).toMatchObject({
      ...{ status: 1, err: expect.stringContaining("cannot read /nowhere") },
    });
  });
});
