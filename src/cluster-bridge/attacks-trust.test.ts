import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { all, put } from "../notary/tuf/testing/loose.ts";
import { DAY_MS, metaOf } from "../notary/tuf/testing/repository.ts";
import { parseRepositoryName } from "../oci/repository-name.ts";
import { alice, mallory } from "../trust/testing/signers.ts";
import { entryOf, image, other } from "../trust/testing/world.ts";
import { asItWas, deploys, forge, keep, refused, roleKeys, rotateRoot, useBridgeLab } from "./testing/bridge-lab.ts";

const lab = useBridgeLab();
const later = (ms: number): void => {
  lab().now = new Date(lab().now.getTime() + ms);
};
const says = (what: typeof image) => put(["targets", "1.4"], entryOf(what));
/** `ops/app:1.4`, signed and seen. */
async function seen() {
  const app = lab().found("ops/app");
  lab().sign(app, "1.4");
  expect(await lab().resolve("ops/app:1.4")).toEqual(deploys(image));
  return app;
}

describe("with the registry's own keys nobody starts", () => {
  it("arbitrary software (T01, T14b): a delegation that its keys did not sign", async () => {
    const app = await seen();
    forge(app, [app.part("targets/a", says(other), [mallory])]);

    expect(await lab().resolve("ops/app:1.4")).toEqual(refused("UNSIGNED", "nothing that is signed as the tag 1.4"));
    expect(await lab().resolve(`ops/app@${other.digest}`)).toEqual(
      refused("UNSIGNED", "nothing that is signed as sha256"),
    );
  });

  it("arbitrary software: targets that its key did not sign, with a delegation of the thief's", async () => {
    const app = await seen();
    forge(app, [app.part("targets", says(other), [mallory])]);

    expect(await lab().resolve("ops/app:1.4")).toEqual(refused("TRUST", "did not meet threshold for targets"));
  });

  it("T22: a timestamp by a key that the root does not name", async () => {
    const app = await seen();
    keep(app, "timestamp", app.part("timestamp", undefined, [mallory]).bytes);

    expect(await lab().resolve("ops/app:1.4")).toEqual(refused("TRUST", "did not meet threshold for timestamp"));
  });

  it.each(["timestamp", "snapshot", "targets", "targets/a"])("rollback (T03) of %s", async (role) => {
    const app = await seen();
    const old = app.stored.get(role as never) as Uint8Array;
    app.publish([app.part("targets"), app.part("targets/a", says(other))]);
    expect(await lab().resolve("ops/app:1.4")).toEqual(deploys(other));

    if (role === "timestamp") keep(app, role, old);
    else if (role === "snapshot") forgeTimestamp(app, old);
    else forge(app, [{ filename: role, bytes: old }]);

    expect(await lab().resolve("ops/app:1.4")).toEqual(refused("TRUST", `^${role} went back from version`));
  });

  it("mix-and-match (T07): a snapshot that the timestamp does not speak of, a role that the snapshot does not", async () => {
    const app = await seen();
    const whole = asItWas(app);
    const others = { snapshot: put(["meta", "targets/a"], metaOf(Buffer.from("x"))), "targets/a": says(other) };
    for (const [role, change] of Object.entries(others)) {
      const mixed = asItWas(whole);
      const { bytes } = mixed.part(role, change);
      const path = new RegExp(`/tuf/${role}\\.[0-9a-f]{64}\\.json$`);
      lab().registry.collections.set("ops/app", mixed);
      mixed.publish([mixed.part("targets/a", says(image))]);
      lab().registry.attack = (asked, response) => path.test(asked) && Boolean(response.end(bytes));
      expect(await lab().resolve("ops/app:1.4")).toEqual(refused("TRUST", `checksum for ${role} did not match`));
      lab().registry.attack = () => false;
    }
  });

  it("a role that vanishes (T03)", async () => {
    const app = await seen();
    forge(app, [], (snapshot) => {
      delete (snapshot.meta as Record<string, unknown>)["targets/a"];
    });

    expect(await lab().resolve("ops/app:1.4")).toEqual(refused("TRUST", "targets/a has vanished"));
  });

  it("freeze (T06): the complete set of yesterday, when its timestamp has ended", async () => {
    await seen();
    later(15 * DAY_MS);

    expect(await lab().resolve("ops/app:1.4")).toEqual(refused("TRUST", "^timestamp expired at"));
  });

  it("a role that has expired (N02, T06), by its name", async () => {
    const app = await seen();
    app.publish([app.part("targets", put(["expires"], "2026-11-22T14:00:00Z"))]);
    later(3 * 3_600_000);

    expect(await lab().resolve("ops/app:1.4")).toEqual(refused("TRUST", "^targets expired at"));
  });

  it("freeze (T06, T26): the set of yesterday, with the clock set back", async () => {
    const app = await seen();
    const yesterday = asItWas(app);
    later(DAY_MS);
    lab().sign(app, "1.4", other);
    expect(await lab().resolve("ops/app:1.4")).toEqual(deploys(other));

    later(-DAY_MS);
    lab().registry.collections.set("ops/app", yesterday);

    expect(await lab().resolve("ops/app:1.4")).toEqual(refused("CLOCK", "^clock-or-freeze: this machine's clock says"));
    // A small step back by a time server is none.
    later(DAY_MS - 30_000);
    expect(await lab().resolve("ops/app:1.4")).toEqual(refused("TRUST", "went back from version"));
    lab().registry.collections.set("ops/app", app);
    expect(await lab().resolve("ops/app:1.4")).toEqual(deploys(other));
  });

  it("another repository's trust data (T08)", async () => {
    await seen();
    const evil = lab().found("ops/evil");
    lab().sign(evil, "1.4", other);
    lab().registry.collections.set("ops/new", evil);

    expect(await lab().resolve("ops/new:1.4")).toEqual(refused("TRUST", "unable to retrieve valid leaf certificates"));
  });

  it("a tag's bytes that are not what was signed (T01, T24)", async () => {
    await seen();
    lab().registry.manifests.set(image.digest, other);

    const reason = `^what the registry gave as ops/app@${image.digest} is ${other.digest}`;
    expect(await lab().resolve("ops/app:1.4")).toEqual(refused("REGISTRY", reason));
    lab().registry.manifests.delete(image.digest);
    expect(await lab().resolve("ops/app:1.4")).toEqual(refused("REGISTRY", "is not in the registry"));
  });

  it("a platform that the signed index does not list (T09)", async () => {
    lab().sign(lab().found("ops/app"), "1.4", image);

    expect(await lab().resolve(`ops/app:1.4@${other.digest}`)).toEqual(
      refused("TRUST", `does not list ${other.digest}|cannot be read`),
    );
  });
});

describe("fast-forward (T05)", () => {
  const ahead = (steps: number, app: Awaited<ReturnType<typeof seen>>) =>
    forge(app, [app.part("targets/a", all(says(other), put(["version"], (app.versionOf("targets/a") ?? 0) + steps)))]);

  it("is no refusal, since a bridge that slept sees the same; it is said once, and counted", async () => {
    const app = await seen();
    const from = app.versionOf("targets/a") ?? 0;
    const { trust } = await lab().start();
    ahead(11, app);

    for (let look = 0; look < 2; look++) await trust.read(parseRepositoryName("ops/app"), lab().now);

    const jumps = [`targets/a from version ${from} to ${from + 11}`];
    expect(lab().logged).toEqual([
      expect.objectContaining({ level: "warn", event: "trust.jump", gun: app.gun, jumps }),
    ]);
    expect(trust.jumps).toEqual(new Map([[app.gun, 1]]));
    expect(await lab().resolve("ops/app:1.4")).toEqual(deploys(other));
  });

  it("is none as far as one push may go, nor at first sight", async () => {
    const app = await seen();
    ahead(10, app);
    expect(await lab().resolve("ops/app:1.4")).toEqual(deploys(other));
    const strange = lab().found("ops/strange");
    ahead(100, strange);
    expect(await lab().resolve("ops/strange:1.4")).toEqual(deploys(other));

    expect(lab().logged).toEqual([]);
  });
});

describe("the root", () => {
  it("is known by its pin before anything was seen (T13, T14)", async () => {
    lab().sign(lab().found("ops/app", alice, mallory), "1.4");

    expect(await lab().resolve("ops/app:1.4")).toEqual(refused("TRUST", "^root 1 is signed by .*, of the keys pinned"));
    lab().editPins({ pattern: "qa/*" });
    expect(await lab().resolve("ops/app:1.4")).toEqual(refused("PIN", "no pin speaks for ops/app"));
  });

  it("may have been rotated while the bridge was asleep, and before it first looked", async () => {
    const app = await seen();
    for (let rotation = 0; rotation < 4; rotation++) rotateRoot(app);
    lab().sign(app, "1.5", other);
    expect(await lab().resolve("ops/app:1.5")).toEqual(deploys(other));

    const late = lab().found("ops/late");
    for (let rotation = 0; rotation < 3; rotation++) rotateRoot(late);
    lab().sign(late, "1.4");
    expect(await lab().resolve("ops/late:1.4")).toEqual(deploys(image));
  });

  it.each<[string, (path: string) => string | undefined, string]>([
    ["a malformed one", () => "{", "not JSON"],
    ["one that is gone", () => undefined, "root 3 is not there"],
  ])("is not reached over %s in the middle", async (_what, body, reason) => {
    const app = await seen();
    for (let rotation = 0; rotation < 3; rotation++) rotateRoot(app);
    lab().sign(app, "1.5", other);
    lab().registry.attack = (path, response) => {
      if (!path.endsWith("/3.root.json")) return false;
      const text = body(path);
      response.writeHead(text === undefined ? 404 : 200).end(text);
      return true;
    };

    expect(await lab().resolve("ops/app:1.5")).toEqual(refused("TRUST", reason));
    lab().registry.attack = () => false;
    expect(await lab().resolve("ops/app:1.5")).toEqual(deploys(other));
  });

  it("is not handed over by new keys alone (T13)", async () => {
    const app = await seen();
    const thief = lab().found("ops/app", mallory, mallory);
    lab().registry.collections.set("ops/app", app);
    const next = app.part("root", roleKeys("root", [thief.keys.root]), [thief.keys.root]);
    forge(app, [next]);

    expect(await lab().resolve("ops/app:1.4")).toEqual(
      refused("TRUST", "could not rotate trust to a new trusted root"),
    );
  });

  it("ends what the rotated keys signed (T14c)", async () => {
    const app = await seen();
    const [old, next] = [app.keys.targets, { ...app.keys.targets, ...mallory }];
    app.publish([app.part("root", roleKeys("targets", [next]))]);
    app.keys.targets = next;
    app.publish([app.part("targets")]);
    expect(await lab().resolve("ops/app:1.4")).toEqual(deploys(image));

    forge(app, [app.part("targets", says(other), [old])]);

    expect(await lab().resolve("ops/app:1.4")).toEqual(refused("TRUST", "did not meet threshold for targets"));
  });

  it("of a collection that was deleted and founded anew counts when an operator edits the pin (T23)", async () => {
    const app = await seen();
    lab().registry.collections.delete("ops/app");
    expect(await lab().resolve("ops/app:1.4")).toEqual(refused("TRUST", "shows none any more"));

    lab().sign(lab().found("ops/app"), "1.4", other);
    expect(await lab().resolve("ops/app:1.4")).toEqual(refused("TRUST", "this is not the root that is trusted here"));
    lab().editPins({ epoch: 2 });

    expect(await lab().resolve("ops/app:1.4")).toEqual(deploys(other));
    lab().registry.collections.set("ops/app", app);
    expect(await lab().resolve("ops/app:1.4")).toEqual(refused("TRUST", "this is not the root that is trusted here"));
  });
});

describe("what the bridge wrote itself", () => {
  it("is no first sight where it is damaged", async () => {
    await seen();
    const folder = join(lab().folder, "trust");
    const [name = ""] = await readdir(folder);
    await writeFile(join(folder, name), "{}");

    expect(await lab().resolve("ops/app:1.4")).toEqual(
      refused("STORE", "^what was trusted of localhost.* cannot be read"),
    );
    await writeFile(join(lab().folder, "policy.json"), "{}");
    await expect(lab().start()).rejects.toMatchObject({
      code: "STORE",
      message: expect.stringContaining("is damaged"),
    });
  });

  it("is written whole, and leaves nothing beside it", async () => {
    await seen();

    expect((await readdir(lab().folder, { recursive: true })).sort()).toEqual([
      "clock",
      "policy.json",
      "trust",
      expect.stringMatching(/^trust\/[0-9a-f]{64}\.json$/),
    ]);
  });
});

function forgeTimestamp(app: Parameters<typeof forge>[0], snapshot: Uint8Array): void {
  const expires = new Date(app.now.getTime() + 14 * DAY_MS).toISOString();
  const part = app.part("timestamp", (signed) => {
    put(["meta", "snapshot"], metaOf(snapshot))(signed);
    put(["expires"], expires)(signed);
  });
  keep(app, "timestamp", part.bytes);
}
