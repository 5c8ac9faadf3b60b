import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { digestOf } from "../../oci/digest.ts";
import { sealedOf, serviceOf } from "../testing/cluster-entries.ts";
import { useClusterLab } from "../testing/cluster-lab.ts";

const lab = useClusterLab(["m1"]);
const CANARY = "canary-0123456789-of-a-secret";
const data = Buffer.from(CANARY).toString("base64");
const writes = (): string[] =>
  lab().cluster.nodes.flatMap(({ asked }) => asked.filter((line) => !line.startsWith("GET ")));

describe.each(["secret", "config"] as const)("%s.create and remove", (kind) => {
  const held = () => lab().cluster.lists[`${kind}s`] ?? [];

  it("makes one, with the bridge's labels", async () => {
    const outcome = await lab().order(`${kind}.create`, { name: "key", data, labels: { team: "qa" }, salt: "pepper" });

    expect(outcome).toEqual({ kind: "done", [kind]: "key" });
    expect(held()).toMatchObject([{ Spec: { Name: "key", Labels: { team: "qa", "goldseal.environment": "prod" } } }]);
  });

  it("leaves no trace of what is in it: not in the journal, the log, an answer or a refusal", async () => {
    const answers = [
      await lab().order(`${kind}.create`, { name: "key", data }),
      await lab().order(`${kind}.create`, { name: "key", data }),
      await lab().order(`${kind}.create`, { name: "other", data: `${data}!` }),
      await lab()
        .order(`${kind}.create`, { name: "other", data, [CANARY]: 1 })
        .then(() => ""),
    ];
    const [manager] = lab().cluster.nodes;
    if (manager !== undefined)
      manager.attack = (method, _path, response) => method === "POST" && response.destroy() && true;
    answers.push(await lab().order(`${kind}.create`, { name: "third", data }));

    const journal = await readFile(join(lab().lab.folder, "journal"), "utf8");

    const seen = [journal, ...lab().logged, JSON.stringify(answers)].join("\n");
    expect(journal).toContain('"name":"third"');
    const hash = digestOf(JSON.stringify({ name: "key", data })).slice("sha256:".length);
    expect(journal.includes(hash)).toBe(kind === "config");
    for (const trace of [CANARY, data, data.slice(0, 20)]) expect(seen).not.toContain(trace);
  });

  it.each([
    ["one that is there", { name: "held", data }, 409, `there is a ${kind} held already`],
    ["nothing", { name: "key", data: "" }, 403, "in base64"],
    ["more than an engine takes", { name: "key", data: Buffer.alloc(701 * 1024).toString("base64") }, 403, "in base64"],
    ["what is no base64", { name: "key", data: "a_b=" }, 403, "in base64"],
    ["a driver", { name: "key", data, driver: "x" }, 403, "{name, data, labels, salt}"],
    ["a template", { name: "key", data, templating: {} }, 403, "{name, data, labels, salt}"],
  ])("refuses to make %s", async (_what, body, status, detail) => {
    lab().cluster.add(`${kind}s`, sealedOf("held"));

    expect(await lab().order(`${kind}.create`, body)).toMatchObject({
      status,
      detail: expect.stringContaining(detail),
    });
    expect(writes()).toEqual([]);
  });

  it("removes one that no service uses, and names those that do", async () => {
    lab().cluster.add(`${kind}s`, sealedOf("key", { environment: "prod" }));
    const [list, id] = kind === "secret" ? ["Secrets", "SecretID"] : ["Configs", "ConfigID"];
    lab().cluster.add("services", serviceOf("web", { container: { [list]: [{ [id]: "id-of-key" }] } }));

    const refusal = await lab().order(`${kind}.remove`, { name: "key" });
    expect(refusal).toMatchObject({ status: 409, detail: `the ${kind} key is used by service web` });
    expect(writes()).toEqual([]);

    lab().cluster.lists.services = [];
    expect(await lab().order(`${kind}.remove`, { name: "key" })).toEqual({ kind: "done", [kind]: "key" });
    expect(held()).toEqual([]);
  });

  it("touches none of another environment", async () => {
    lab().cluster.add(`${kind}s`, sealedOf("key", { environment: "dev" }), sealedOf("theirs"));

    const own = { status: 403, detail: `the ${kind} key belongs to dev` };
    expect(await lab().order(`${kind}.remove`, { name: "key" })).toMatchObject(own);
    expect(await lab().order(`${kind}.remove`, { name: "theirs" })).toMatchObject({ status: 403 });
    expect(await lab().order(`${kind}.remove`, { name: "none" })).toMatchObject({ status: 404 });
  });
});
