import { describe, expect, it } from "vitest";
import type { VerificationCode } from "./error.ts";
import type { Root } from "./metadata.ts";
import { type RoleName, TARGETS } from "./names.ts";
import { put } from "./testing/loose.ts";
import { roleKeys } from "./testing/next-root.ts";
import { type Fetch, instead, read, remember, serve } from "./testing/reader.ts";
import { certificateFor, GUN, inDays, metaOf, Repository } from "./testing/repository.ts";
import { ecdsaKey, ed25519Key, inCertificate } from "./testing/test-key.ts";
import { getTargets, readTrusted } from "./trusted-metadata.ts";

const TAG = { hashes: metaOf(Buffer.from("m")).hashes, length: 1 };
const tag = (name: string) => put(["targets", name], TAG);
const role = (name: string) => name as RoleName;
const refused = (code: VerificationCode, message: string | RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(message) });

describe("readTrusted", () => {
  it("reads every role from the root down, and each file once", async () => {
    const repository = Repository.published();
    const asked: string[] = [];
    const fetch: Fetch = (name, maxBytes) => {
      asked.push(name.replace(/[0-9a-f]{64}/, "<hash>"));
      return serve(repository)(name, maxBytes);
    };

    const trusted = await read(repository, { fetch });

    expect([...trusted.roles.keys()]).toEqual(["targets", "targets/a", "targets/a/b"]);
    expect(trusted.roles.get(role("targets/a/b"))?.targets?.version).toBe(1);
    expect(getTargets(trusted).version).toBe(2);
    const below = ["snapshot", "targets", "targets/a", "targets/a/b"].map((name) => `${name}.<hash>`);
    expect(asked).toEqual(["root", "timestamp", ...below]);
  });

  it("asks only for what changed since it looked last", async () => {
    const repository = Repository.published();
    const known = remember(await read(repository));
    repository.publish([repository.part("targets/a", tag("1"))]);
    const asked: string[] = [];

    const trusted = await read(repository, {
      known,
      fetch: (name, maxBytes) => {
        asked.push(name.replace(/\..*/, ""));
        return serve(repository)(name, maxBytes);
      },
    });

    expect(asked).toEqual(["root", "timestamp", "snapshot", "targets/a"]);
    expect(trusted.roles.get(role("targets/a"))?.targets?.targets.get("1")?.length).toBe(1);
  });

  it("is undefined where there is no trust data", async () => {
    const fetch: Fetch = async () => undefined;

    expect(await readTrusted({ gun: GUN, now: inDays(0), known: new Map(), fetch })).toBeUndefined();
  });

  it("lets its caller judge the lowest root that there is, and no later one", async () => {
    const repository = Repository.published();
    rotateRoot(repository);
    const seen: Root[] = [];

    const trusted = await read(repository, { trustFirst: (root) => seen.push(root) });
    await read(repository, { known: remember(trusted), trustFirst: (root) => seen.push(root) });

    expect(seen.map(({ version }) => version)).toEqual([1]);
    expect(trusted.root.version).toBe(2);
    const refuse = () => {
      throw new Error("not this one");
    };
    await expect(read(repository, { trustFirst: refuse })).rejects.toThrow("not this one");
  });

  it("follows the roots one by one, and refuses a chain with a gap or a stranger in it", async () => {
    const repository = Repository.published();
    const known = remember(await read(repository));
    for (let rotation = 0; rotation < 3; rotation++) rotateRoot(repository);
    const honest = serve(repository);

    expect((await read(repository, { known })).root.version).toBe(4);

    const gap = instead(honest, /^3\.root$/, undefined);
    await expect(read(repository, { known, fetch: gap })).rejects.toEqual(refused("MISMATCH", "root 3 is not there"));
    const twisted = instead(honest, /^2\.root$/, await honest("3.root", 1e6));
    await expect(read(repository, { known, fetch: twisted })).rejects.toEqual(
      refused("VERSION", "in the place of root 2"),
    );
    const stranger = Repository.published();
    rotateRoot(stranger);
    const foreign = instead(honest, /^2\.root$/, await serve(stranger)("2.root", 1e6));
    await expect(read(repository, { known, fetch: foreign })).rejects.toEqual(refused("THRESHOLD", "could not rotate"));
  });

  it("starts again when a root is published while it reads", async () => {
    const repository = Repository.published();
    const before = serve(repository);
    const next = ed25519Key();
    repository.publish(
      [repository.part("root", roleKeys("timestamp", [next]), [repository.keys.root])].map((part) => {
        repository.keys.timestamp = next;
        return part;
      }),
    );
    const after = serve(repository);
    let asked = 0;
    const fetch: Fetch = (name, maxBytes) => (asked++ === 0 ? before : after)(name, maxBytes);

    const trusted = await read(repository, { fetch });

    expect(trusted.root.version).toBe(2);
  });
});

/** Root n + 1 with a new certificate, signed by the old key and the new. */
function rotateRoot(repository: Repository): void {
  const [old, next] = [repository.keys.root, inCertificate(ecdsaKey(), certificateFor(GUN))];
  repository.publish([repository.part("root", roleKeys("root", [next]), [old, next])]);
  repository.keys.root = next;
}

describe("a delegation does not count, and harms nobody else,", () => {
  it("when its signer was removed", async () => {
    const repository = Repository.published();
    const next = ecdsaKey();
    repository.publish([
      repository.part("targets", (signed) => {
        put(["delegations", "keys"], {
          [next.key.id]: {
            keytype: "ecdsa",
            keyval: { private: null, public: next.key.publicBytes.toString("base64") },
          },
        })(signed);
        put(["delegations", "roles", 0, "keyids"], [next.key.id])(signed);
      }),
    ]);

    const { roles } = await read(repository);

    expect(roles.get(role("targets/a"))).toMatchObject({ targets: undefined, problem: { code: "THRESHOLD" } });
    expect(roles.get(role("targets/a"))?.file?.version).toBe(1);
    expect(roles.has(role("targets/a/b"))).toBe(false);
    expect(roles.get(TARGETS)?.problem).toBeUndefined();
  });

  it("when it has expired, though what it says can still be read to sign it anew", async () => {
    const repository = Repository.published();
    repository.now = inDays(1000);
    repository.publish([repository.part("targets")]);
    repository.now = inDays(1100);
    repository.publish([]);

    const trusted = await read(repository);

    expect(trusted.roles.get(role("targets/a"))).toMatchObject({
      targets: { version: 1 },
      problem: { code: "EXPIRED" },
    });
    expect(trusted.roles.has(role("targets/a/b"))).toBe(false);
    expect(getTargets(trusted).version).toBe(3);
  });

  it("when nobody has signed it yet", async () => {
    const repository = new Repository();
    repository.publish([repository.part("root"), repository.part("targets")]);

    const { roles } = await read(repository);

    expect(roles.get(role("targets/a"))).toMatchObject({ file: undefined, targets: undefined, problem: undefined });
  });
});

it("getTargets refuses targets that have expired", async () => {
  const repository = Repository.published();
  repository.now = inDays(1095.5);
  repository.stored.delete("timestamp" as RoleName);
  repository.publish([repository.part("targets/a")]);

  const trusted = await read(repository);

  expect(() => getTargets(trusted)).toThrow("targets expired at");
});
