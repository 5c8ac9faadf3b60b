import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { newFolder, removeFolder, startServer } from "./testing/server-process.ts";

const SERVER = { GOLDSEAL_TLS: "off", GOLDSEAL_WORKERS: "1", GOLDSEAL_ADMIN_PASSWORD: "the lost password" };

let data: string;

beforeAll(async () => {
  data = await newFolder();
});
afterAll(() => removeFolder(data));

async function run(folder: string, ...args: string[]) {
  await using command = startServer({ data: folder, args: ["admin-password", ...args] });
  const status = await command.ended;
  return { status, output: command.output(), errors: command.errors() };
}

async function sees(origin: string, password: string): Promise<unknown> {
  const authorization = `Basic ${Buffer.from(`admin:${password}`).toString("base64")}`;
  const answer = await fetch(`${origin}/api/v1/audit?action=admin-password`, { headers: { authorization } });
  return answer.status === 200 ? await answer.json() : answer.status;
}

describe("goldseal admin-password", () => {
  it("lets back in whoever holds the data folder, and puts it on record", async () => {
    {
      await using server = startServer({ data, env: SERVER });
      await server.ready();
      const refused = await run(data);
      expect([refused.status, refused.output]).toEqual([1, ""]);
      expect(refused.errors).toContain(`is in use by process ${server.pid}: stop it first`);
    }

    const { status, output, errors } = await run(data);

    expect([status, output]).toEqual([0, expect.stringMatching(/^[\w-]{24}\n$/)]);
    expect(errors).toContain("every token of admin ended");
    await using again = startServer({ data, env: SERVER });
    const origin = await again.ready();
    expect(await sees(origin, "the lost password")).toBe(401);
    expect(await sees(origin, output.trim())).toMatchObject({ entries: [{ target: "admin", outcome: "done" }] });
  });

  it("makes no database where there is none", async () => {
    const empty = await newFolder();
    try {
      const { status, errors } = await run(empty);
      expect([status, errors]).toEqual([1, expect.stringContaining("holds no database")]);
    } finally {
      await removeFolder(empty);
    }
  });
});
