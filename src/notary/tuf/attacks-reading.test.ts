import { describe, expect, it } from "vitest";
import type { VerificationCode } from "./error.ts";
import { ROOT, type RoleName } from "./names.ts";
import { drop, put } from "./testing/loose.ts";
import { roleKeys } from "./testing/next-root.ts";
import { type Fetch, instead, read, remember, serve } from "./testing/reader.ts";
import { certificateFor, GUN, inDays, metaOf, Repository } from "./testing/repository.ts";
import { ecdsaKey, ed25519Key, inCertificate } from "./testing/test-key.ts";

const TAG = { hashes: metaOf(Buffer.from("m")).hashes, length: 1 };
const tag = (name: string) => put(["targets", name], TAG);
const role = (name: string) => name as RoleName;
const refused = (code: VerificationCode, message: string | RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(message) });

/** Root n + 1 with a new certificate, signed by the old key and the new. */
function rotateRoot(repository: Repository): void {
  const [old, next] = [repository.keys.root, inCertificate(ecdsaKey(), certificateFor(GUN))];
  repository.publish([repository.part("root", roleKeys("root", [next]), [old, next])]);
  repository.keys.root = next;
}

describe("a reader's memory stops", () => {
  it.each(["timestamp", "snapshot", "targets", "targets/a"])("a rollback of %s", async (name) => {
    const repository = Repository.published();
    const old = repository.copy();
    repository.publish([repository.part("targets", tag("1")), repository.part("targets/a", tag("1"))]);
    const known = remember(await read(repository));
    // Everything of yesterday, honestly signed; only what `name` is about is remembered.
    const memory = new Map([
      [ROOT, known.get(ROOT) as Uint8Array],
      [role(name), known.get(role(name)) as Uint8Array],
    ]);

    const fetch = serve(Object.assign(old, { history: repository.history }));
    await expect(read(repository, { known: memory, fetch })).rejects.toEqual(
      refused("VERSION", `${name} went back from version`),
    );
  });

  it("a role that vanishes from the snapshot, to come back as it was", async () => {
    const repository = Repository.published();
    const known = remember(await read(repository));
    const { snapshot, timestamp } = repository.keys;
    const without = repository.part("snapshot", drop(["meta", "targets/a"]), [snapshot]).bytes;
    const meta = put(["meta", "snapshot"], metaOf(without));
    const fetch = instead(serve(repository), /^snapshot/, without);

    const robbed = instead(fetch, /^timestamp$/, repository.part("timestamp", meta, [timestamp]).bytes);

    await expect(read(repository, { known, fetch: robbed })).rejects.toEqual(
      refused("VERSION", "targets/a has vanished, of which version 1 was seen"),
    );
    expect((await read(repository, { fetch: robbed })).roles.get(role("targets/a"))?.file).toBeUndefined();
  });

  it("two files of one version", async () => {
    const repository = Repository.published();
    const other = repository.copy();
    repository.publish([repository.part("targets/a", tag("1"))]);
    other.publish([other.part("targets/a", tag("2"))]);
    const known = remember(await read(repository));

    const fetch = serve(Object.assign(other, { history: [...other.history, ...repository.history.slice(0, 6)] }));

    await expect(read(repository, { known, fetch })).rejects.toEqual(
      refused("VERSION", "there are two files of timestamp"),
    );
  });

  it("another root under the same name, and a root that went back", async () => {
    const [repository, other] = [Repository.published(), Repository.published()];
    const known = remember(await read(repository));

    await expect(read(repository, { known, fetch: serve(other) })).rejects.toEqual(
      refused("VERSION", "this is not the root that is trusted here: the server's root 1 is another one"),
    );

    const old = serve(repository);
    rotateRoot(repository);
    const newer = remember(await read(repository));
    await expect(read(repository, { known: newer, fetch: old })).rejects.toEqual(
      refused("VERSION", "root 2 was in force here, the server has 1"),
    );
  });

  it("nothing honest after the keys it vouched for were rotated", async () => {
    const repository = Repository.published();
    repository.publish([repository.part("targets", tag("1"))]);
    const known = remember(await read(repository));
    const next = ed25519Key();
    const root = repository.part("root", roleKeys("timestamp", [next]));
    repository.keys.timestamp = next;
    // The versions of a timestamp key that was stolen and ran ahead are forgotten with it.
    repository.stored.delete("timestamp" as RoleName);
    repository.publish([root]);

    const trusted = await read(repository, { known });

    expect(trusted.timestamp.version).toBe(1);
  });
});

describe("a server in the middle cannot", () => {
  it("freeze what it shows: timestamp, snapshot and root end", async () => {
    const repository = Repository.published();

    for (const [days, name] of [
      [15, "timestamp"],
      [3651, "root"],
    ] as const) {
      await expect(read(repository, { now: inDays(days) })).rejects.toEqual(
        refused(
          name === "root" ? "KEY" : "EXPIRED",
          name === "root" ? "valid leaf certificates" : "timestamp expired at",
        ),
      );
    }
  });

  it.each([
    ["root", /^root$/, "THRESHOLD"],
    ["timestamp", /^timestamp$/, "THRESHOLD"],
    ["snapshot", /^snapshot\./, "MISMATCH"],
    ["targets", /^targets\./, "MISMATCH"],
    ["targets/a", /^targets\/a\./, "MISMATCH"],
  ] as const)("put another repository's %s in the place of ours", async (name, pattern, code) => {
    const [repository, other] = [Repository.published(), Repository.published()];
    const foreign = other.stored.get(role(name)) as Uint8Array;
    const known = new Map([[ROOT, repository.stored.get(ROOT) as Uint8Array]]);

    const reading = read(repository, { known, fetch: instead(serve(repository), pattern, foreign) });

    await expect(reading).rejects.toMatchObject({ code: name === "root" ? "VERSION" : code });
  });

  it("mix files that were never published together", async () => {
    const repository = Repository.published();
    const old = { ...Object.fromEntries(repository.stored) };
    repository.publish([repository.part("targets", tag("1"))]);
    // The new timestamp names the new snapshot, whose targets are not the old ones.
    const fetch = instead(serve(repository), /^targets\./, old.targets);

    await expect(read(repository, { fetch })).rejects.toEqual(
      refused("MISMATCH", "checksum for targets did not match"),
    );
  });

  it("show a root that its snapshot does not speak of", async () => {
    const repository = Repository.published();
    const root = serve(repository);
    rotateRoot(repository);
    const fetch: Fetch = (name, maxBytes) => (name === "root" ? root : serve(repository))(name, maxBytes);

    await expect(read(repository, { fetch })).rejects.toEqual(refused("MISMATCH", "checksum for root did not match"));
  });

  it.each([
    [/^timestamp$/, "there is a root, but no timestamp"],
    [/^snapshot\./, "snapshot is named, but not there"],
    [/^targets\/a\./, "targets/a is named, but not there"],
  ])("keep back %s", async (name, message) => {
    const repository = Repository.published();

    const reading = read(repository, { fetch: instead(serve(repository), name, undefined) });

    await expect(reading).rejects.toEqual(refused("MISMATCH", message));
  });

  it("send more than the file that was announced", async () => {
    const repository = Repository.published();
    const limits: [string, number][] = [];
    const fetch: Fetch = (name, maxBytes) => {
      limits.push([name, maxBytes]);
      return serve(repository)(name, maxBytes);
    };

    await read(repository, { fetch });

    for (const [name, maxBytes] of limits.filter(([asked]) => asked.includes("."))) {
      expect(maxBytes).toBe((await serve(repository)(name, 1e9))?.length);
    }
  });
});
