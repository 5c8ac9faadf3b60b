import { describe, expect, it } from "vitest";
import { BatchedLookup } from "./batched-lookup.ts";

/** A loader that notes its batches and answers when told to. */
function openLoader() {
  const batches: number[][] = [];
  const waiting: { resolve: () => void; reject: (error: Error) => void }[] = [];
  const load = async (keys: readonly number[]): Promise<(string | undefined)[]> => {
    batches.push([...keys]);
    await new Promise<void>((resolve, reject) => waiting.push({ resolve, reject }));
    return keys.map((key) => (key < 0 ? undefined : `value of ${key}`));
  };
  return { batches, waiting, load };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

/** More turns than keys gather for. */
async function turns(): Promise<void> {
  for (let count = 0; count < 12; count++) await turn();
}

describe("BatchedLookup", () => {
  it("answers each key with its own value, undefined where there is none", async () => {
    const lookup = new BatchedLookup(async (keys: readonly number[]) =>
      keys.map((key) => (key % 3 === 0 ? undefined : key * 2)),
    );

    const found = await Promise.all(Array.from({ length: 1_000 }, (_, key) => lookup.find(key)));

    expect(found).toEqual(Array.from({ length: 1_000 }, (_, key) => (key % 3 === 0 ? undefined : key * 2)));
  });

  it("asks for everything of one moment in one query, and for what comes meanwhile in the next", async () => {
    const { batches, waiting, load } = openLoader();
    const lookup = new BatchedLookup(load);
    const first = [1, 2, 3].map((key) => lookup.find(key));
    await turns();
    const second = [4, 5].map((key) => lookup.find(key));
    await turns();

    expect(batches).toEqual([[1, 2, 3]]);
    waiting[0]?.resolve();
    await Promise.all(first);
    await turns();
    expect(batches).toEqual([
      [1, 2, 3],
      [4, 5],
    ]);
    waiting[1]?.resolve();
    expect(await Promise.all(second)).toEqual(["value of 4", "value of 5"]);
  });

  it("waits for keys that come turn after turn, but not without end", async () => {
    const { batches, waiting, load } = openLoader();
    const lookup = new BatchedLookup(load);
    const all: Promise<string | undefined>[] = [];
    for (let key = 1; key <= 20; key++) {
      all.push(lookup.find(key));
      await turn();
    }
    await turns();

    expect(batches[0]).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    waiting[0]?.resolve();
    await turns();
    waiting[1]?.resolve();
    expect(await Promise.all(all)).toHaveLength(20);
    expect(batches).toHaveLength(2);
  });

  it("lets a crowd not wait for the query under way, and has two at most", async () => {
    const { batches, waiting, load } = openLoader();
    const lookup = new BatchedLookup(load);
    const all = [lookup.find(0)];
    await turns();
    for (let round = 0; round < 3; round++) {
      for (let key = 1; key <= 40; key++) all.push(lookup.find(round * 40 + key));
      await turns();
    }

    expect(batches.map(({ length }) => length)).toEqual([1, 40]);
    for (let answered = 0; answered < waiting.length; answered++) {
      waiting[answered]?.resolve();
      await turns();
      await turns();
    }
    expect(await Promise.all(all)).toEqual(Array.from({ length: 121 }, (_, key) => `value of ${key}`));
  });

  it("splits what is more than one query may ask for, and forgets nobody", async () => {
    const sizes: number[] = [];
    const lookup = new BatchedLookup(
      async (keys: readonly number[]) => {
        sizes.push(keys.length);
        return keys;
      },
      { maxKeys: 10 },
    );

    const found = await Promise.all(Array.from({ length: 95 }, (_, key) => lookup.find(key)));

    expect(found).toEqual(Array.from({ length: 95 }, (_, key) => key));
    expect(Math.max(...sizes)).toBe(10);
    expect(sizes.reduce((sum, size) => sum + size)).toBe(95);
  });

  it("fails those of a failed query alone, and goes on", async () => {
    const { waiting, load } = openLoader();
    const lookup = new BatchedLookup(load);
    const bad = [1, 2].map((key) => lookup.find(key));
    await turns();
    const good = lookup.find(3);

    waiting[0]?.reject(new Error("the database went away"));

    for (const result of await Promise.allSettled(bad)) expect(result.status).toBe("rejected");
    await turns();
    waiting[1]?.resolve();
    expect(await good).toBe("value of 3");
    const later = lookup.find(4);
    await turns();
    waiting[2]?.resolve();
    expect(await later).toBe("value of 4");
  });

  it("asks once for keys of one name that wait together, and answers each", async () => {
    const { batches, waiting, load } = openLoader();
    const lookup = new BatchedLookup(load, { nameOf: String });
    const found = [7, -1, 7, 8, 7, -1].map((key) => lookup.find(key));
    await turns();
    const late = lookup.find(7);

    waiting[0]?.resolve();
    const values = await Promise.all(found);
    await turns();
    waiting[1]?.resolve();
    await late;

    expect(values).toEqual(["value of 7", undefined, "value of 7", "value of 8", "value of 7", undefined]);
    expect(batches).toEqual([[7, -1, 8], [7]]);
  });

  it("keeps nothing: the same key is asked for again", async () => {
    let calls = 0;
    const lookup = new BatchedLookup(async (keys: readonly string[]) => {
      calls++;
      return keys.map(() => calls);
    });

    expect([await lookup.find("a"), await lookup.find("a")]).toEqual([1, 2]);
  });
});
