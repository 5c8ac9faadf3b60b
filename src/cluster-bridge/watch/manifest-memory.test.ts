import { describe, expect, it } from "vitest";
import { digestOf } from "../../oci/digest.ts";
import type { Ask } from "../registry-client.ts";
import { ManifestMemory } from "./manifest-memory.ts";

const MIB = 1024 * 1024;
const askFor = (name: string): Ask => ({
  path: `/v2/ops/app/manifests/${digestOf(name)}`,
  maxBytes: 4 * MIB,
  scope: "",
});

/** A memory of a registry all of whose manifests are 4 MiB; `asked` counts what came to it. */
function open() {
  const asked: string[] = [];
  const find = async ({ path }: Ask) => {
    asked.push(path);
    return { status: 200, headers: {}, body: Buffer.alloc(4 * MIB) };
  };
  return { asked, memory: new ManifestMemory({ find }) };
}

describe("a memory of manifests", () => {
  it("asks once for what is named by its hash, and each time for a tag", async () => {
    const { asked, memory } = open();
    const tag = { ...askFor("one"), path: "/v2/ops/app/manifests/latest" };

    for (const ask of [askFor("one"), askFor("one"), tag, tag]) await memory.find(ask);

    expect(asked).toEqual([askFor("one").path, tag.path, tag.path]);
  });

  it("keeps 32 MiB, and lets go of the oldest", async () => {
    const { asked, memory } = open();
    for (let index = 0; index < 9; index++) await memory.find(askFor(`number ${index}`));
    asked.length = 0;

    for (const index of [8, 1, 0]) await memory.find(askFor(`number ${index}`));

    expect(asked).toEqual([askFor("number 0").path]);
  });

  it("keeps as much however often two ask at once", async () => {
    const { asked, memory } = open();
    for (let index = 0; index < 9; index++)
      await Promise.all([memory.find(askFor(`number ${index}`)), memory.find(askFor(`number ${index}`))]);
    asked.length = 0;

    for (const index of [8, 1]) await memory.find(askFor(`number ${index}`));

    expect(asked).toEqual([]);
  });
});
