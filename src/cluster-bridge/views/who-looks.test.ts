import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { put } from "../../notary/tuf/testing/loose.ts";
import { networkOf, serviceOf, taskOf, volumeOf } from "../testing/cluster-entries.ts";
import { SECRET, useClusterLab } from "../testing/cluster-lab.ts";

const lab = useClusterLab(["m1"]);

const names = async (user: string, query = ""): Promise<unknown> => {
  const { body } = await lab().get(`services${query}`, user);
  return (body.services as { name: string }[] | undefined)?.map(({ name }) => name);
};

function addServices(): void {
  lab().cluster.add(
    "services",
    serviceOf("web", { environment: "prod" }),
    serviceOf("trial", { environment: "dev" }),
    serviceOf("theirs"),
  );
}

const problem = (status: number, code: string, detail: string) => ({
  ...{ status, body: { status, code, detail: expect.stringContaining(detail) } },
});

describe("GET /api/v1/cluster/…", () => {
  it.each<[string, Record<string, string>, number, string, string]>([
    ["nobody", {}, 403, "relay", "to the registry's relay alone"],
    ["a user without the secret", { "goldseal-user": "alice" }, 403, "relay", "to the registry's relay alone"],
    [
      "the secret with a letter more",
      { "goldseal-user": "alice", "goldseal-relay": `${SECRET}x` },
      403,
      "relay",
      "alone",
    ],
    [
      "the secret with a letter less",
      { "goldseal-user": "alice", "goldseal-relay": SECRET.slice(1) },
      403,
      "relay",
      "alone",
    ],
    ["an empty secret", { "goldseal-user": "alice", "goldseal-relay": "" }, 403, "relay", "alone"],
    ["the relay without a user", { "goldseal-relay": SECRET }, 400, "request", "Goldseal-User is missing"],
    [
      "a user without a right",
      { "goldseal-user": "carol", "goldseal-relay": SECRET },
      403,
      "denied",
      "carol may view no",
    ],
    [
      "a user whom nobody knows",
      { "goldseal-user": "Alice", "goldseal-relay": SECRET },
      403,
      "denied",
      "Alice may view no",
    ],
  ])("shows nothing to %s", async (_who, headers, status, code, detail) => {
    addServices();

    const answer = await lab().raw("services", { headers });

    expect(answer.headers.get("content-type")).toBe("application/problem+json");
    expect({ status: answer.status, body: await answer.json() }).toEqual(problem(status, code, detail));
  });

  it("shows nothing where the configuration names no secret", async () => {
    lab().config = { relay: undefined };
    await lab().stop();
    await lab().start();

    expect(await lab().get("nodes")).toMatchObject(problem(403, "relay", "names no relay.secretFile"));
  });

  it("does not start with a secret that can be guessed", async () => {
    await lab().stop();
    await writeFile(join(lab().lab.folder, "short"), "x".repeat(31));
    lab().config = { relay: { secretFile: "short" } };

    await expect(lab().start()).rejects.toThrow("a secret has 32 characters or more");
  });

  it("shows each user the services of their environments, and those of none", async () => {
    addServices();

    expect(await names("alice")).toEqual(["theirs", "web"]);
    expect(await names("bob")).toEqual(["theirs", "trial", "web"]);
    expect(await names("bob", "?environment=dev")).toEqual(["trial"]);
  });

  it("makes no difference between what is hidden and what is not there", async () => {
    addServices();

    const hidden = await lab().get("services/trial");
    const missing = await lab().get("services/nothing");

    expect(hidden).toMatchObject(problem(404, "not-found", "there is no service trial"));
    expect(missing).toMatchObject(problem(404, "not-found", "there is no service nothing"));
    for (const part of ["tasks", "logs"])
      expect(await lab().get(`services/trial/${part}`)).toMatchObject(problem(404, "not-found", "no service trial"));
    for (const environment of ["dev", "stage"])
      expect(await lab().get(`nodes?environment=${environment}`)).toMatchObject(
        problem(404, "not-found", `there is no environment ${environment}`),
      );
  });

  it("shows no task, and no user of a network, of what is hidden", async () => {
    addServices();
    lab().cluster.add("networks", networkOf("backend"));
    lab().cluster.add("services", serviceOf("hidden", { environment: "dev", networks: ["id-of-backend"] }));
    lab().cluster.add("tasks", taskOf("web", "m1"), taskOf("trial", "m1"));

    expect((await lab().get("tasks")).body).toMatchObject({ tasks: [{ service: "web" }] });
    expect((await lab().get("networks")).body).toMatchObject({ networks: [{ services: [], others: 1 }] });
    expect((await lab().get("networks", "bob")).body).toMatchObject({
      networks: [{ services: ["hidden"], others: 0 }],
    });
  });

  it("shows no network and no volume of other environments, and those of none to everybody", async () => {
    const [manager] = lab().cluster.nodes;
    if (manager === undefined) throw new Error("no manager");
    const owners = { web: { environment: "prod" }, trial: { environment: "dev" }, theirs: {} };
    for (const [name, owner] of Object.entries(owners)) {
      lab().cluster.add("networks", networkOf(name, { ...owner, labels: { why: "told nobody else" } }));
      manager.volumes.push(volumeOf(name, owner));
    }
    const seen = async (user: string, query = ""): Promise<unknown[]> => {
      const bodies = [await lab().get(`networks${query}`, user), await lab().get(`volumes${query}`, user)];
      const lists = bodies.flatMap(({ body: { networks, volumes } }) => [networks ?? volumes]);
      return lists.map((list) => (list as { name: string }[]).map(({ name }) => name));
    };

    expect(await seen("alice")).toEqual(Array(2).fill(["theirs", "web"]));
    expect(await seen("alice", "?environment=prod")).toEqual(Array(2).fill(["web"]));
    expect(await seen("bob")).toEqual(Array(2).fill(["theirs", "trial", "web"]));
    expect(await seen("bob", "?environment=dev")).toEqual(Array(2).fill(["trial"]));
  });

  it("goes by the newest policy, and by the last one while the registry is away, until it expires", async () => {
    expect(await names("carol")).toBe(undefined);
    lab().lab.setPolicy((document) => {
      put(["version"], 8)(document);
      put(["teams", "qa"], ["carol", "alice"])(document);
    });
    expect(await names("carol")).toEqual([]);
    lab().lab.registry.attack = (_path, response) => response.writeHead(500).end() && true;
    expect(await names("carol")).toEqual([]);

    lab().lab.now = new Date("2027-01-01T00:00:00Z");

    expect(await lab().get("nodes")).toMatchObject(problem(403, "policy", "expired at 2027-01-01"));
  });

  it.each([
    ["a filter that is none", "services?stak=x", 'no query parameter \\"stak\\"'],
    ["an environment that is no name", "nodes?environment=../x", "environment: a name is"],
    ["a filter twice", "volumes?name=a&name=b", "stands there 2 times"],
    ["a limit of nothing", "nodes?limit=0", "limit: "],
    ["a limit beyond all", "nodes?limit=1001", "limit: "],
    ["what is not yes or no", "volumes?orphaned=1", "orphaned: "],
    ["a NUL", "volumes?name=a%00", "name: no NUL"],
    ["an array", "volumes?name[]=a", "no arrays"],
    ["a tail that is no number", "services/web/logs?tail=-1", "tail: a whole number"],
    ["a time that is none", "services/web/logs?since=yesterday", "since: "],
  ])("refuses %s", async (_what, path, detail) => {
    const answer = await lab().get(path);

    expect(answer).toMatchObject({ status: 400, body: { code: "request" } });
    expect(answer.text).toContain(detail);
  });

  it("only looks: no method changes anything", async () => {
    const answer = await lab().raw("nodes", { method: "POST" });

    expect([answer.status, await answer.json()]).toMatchObject([405, { detail: "allowed: GET" }]);
  });
});
