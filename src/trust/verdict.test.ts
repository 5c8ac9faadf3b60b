/** The tamperings that a verdict must not be taken in by, each by its name. */
import { describe, expect, it } from "vitest";
import { put } from "../notary/tuf/testing/loose.ts";
import { certificateFor, DAY_MS, inDays, Repository } from "../notary/tuf/testing/repository.ts";
import { inCertificate } from "../notary/tuf/testing/test-key.ts";
import { digestOf } from "../oci/digest.ts";
import { alice, bob, carol, mallory, spkiOfPair } from "./testing/signers.ts";
import {
  artifact,
  type Case,
  image,
  indexOf,
  NOW,
  other,
  person,
  row,
  server,
  signedSet,
  subjectOf,
  verdictOf,
  withOwner,
} from "./testing/world.ts";
import { findTufEvidence } from "./tuf-evidence.ts";

const signed = (
  by: (typeof alice)[],
  says: Readonly<Record<string, typeof image>> = { "1.4": image },
  role = "targets/a",
) => signedSet({ roles: { [role]: { says, by } } });
const NAME = "registry.example.com:5000/ops/app:1.4";
const digest = image.digest;
const asks = (who: string, has = "nobody", command = NAME): string =>
  `${digest} must be signed by ${who}, and is by ${has}; one of them signs it with: goldseal trust sign ${command}`;

describe("judge allows", () => {
  it("what one person of the team signed, and says who and until when", async () => {
    const verdict = await verdictOf({ sets: [signed([alice])] });

    expect(verdict).toMatchObject({ allowed: true, missing: [], rows: [{ who: ["alice"], met: true }] });
    expect(verdict.until).toEqual(inDays(14));
    expect(verdict.signatures).toMatchObject([
      {
        owner: { user: "alice" },
        class: "client-key",
        refused: undefined,
        evidence: { format: "tuf", digest, statement: { role: "targets/a", tag: "1.4" } },
      },
    ]);
  });

  const two = signedSet({
    roles: { "targets/a": { says: { "1.4": image }, by: [alice] }, "targets/b": { says: { "1.4": image }, by: [bob] } },
  });

  it.each<[string, Case]>([
    ["two people in two delegations", { sets: [two], rows: [row({ k: 2 })] }],
    ["two people who signed one file", { sets: [signed([alice, bob])], rows: [row({ k: 2 })] }],
    ["one person of two teams, for each of them", { sets: [signed([bob])], rows: [row(), row({ team: "ops" })] }],
    ["whoever it is, where no team is named", { sets: [signed([carol])], rows: [{ k: 1, class: "client-key" }] }],
    ["an image named by digest alone", { sets: [signed([alice])], subject: subjectOf("ops/app") }],
    [
      "an image signed in the GUN that the rule names, under another tag",
      {
        sets: [signedSet({ repository: "qa/app", roles: { "targets/a": { says: { "rc-7": image }, by: [alice] } } })],
        rows: [row({ gun: "qa/{name}" })],
      },
    ],
    [
      "a child of a signed index",
      {
        sets: [signed([alice], { "1.4": indexOf(other, image) })],
        subject: subjectOf("ops/app:1.4", [indexOf(other, image), image]),
      },
    ],
    [
      "a signed child of an index that nobody signed",
      { sets: [signed([alice])], subject: subjectOf("ops/app:1.4", [indexOf(image), image]) },
    ],
    [
      "a person in the server's delegation, where the class says so",
      { sets: [signed([alice], undefined, "targets/goldseal-auto")], rows: [row({ class: "server-attested" })] },
    ],
    [
      "the server, where no team is named and the class takes it",
      { sets: [signed([server])], rows: [{ k: 1, class: "either" }] },
    ],
    ["a tag that the image's own GUN says is this", { sets: [signed([alice])], requirement: { needsTag: true } }],
    [
      "a timestamp within its age, to the second",
      { sets: [signed([alice])], requirement: { maxTimestampAgeSeconds: 60 }, now: new Date(NOW.getTime() + 60_000) },
    ],
  ])("%s", async (_what, given) => {
    expect(await verdictOf(given)).toMatchObject({ allowed: true, missing: [] });
  });
});

describe("judge refuses", () => {
  const qa = "one person of team qa with their own key";
  const foreign = signedSet({ repository: "qa/app", roles: { "targets/a": { says: { "1.4": image }, by: [alice] } } });
  const twoKeys = withOwner(mallory, person("alice", ["qa"]));
  const bare = signedSet({
    roles: {
      "targets/a": {
        says: { "1.4": image },
        by: [alice],
        change: put(["targets", "1.4", "hashes"], { sha512: Buffer.alloc(64).toString("base64") }),
      },
    },
  });

  it.each<[string, Case, string[]]>([
    ["nothing signed", {}, [asks(qa)]],
    ["no rule", { sets: [signed([alice])], rows: [] }, ["no rule says who must sign this image, so nobody can"]],
    ["k of nobody", { rows: [row({ k: 0 })] }, [asks("0 people of team qa with their own key")]],
    ["wrong key: a stranger's", { sets: [signed([mallory])] }, [asks(qa)]],
    ["another team's key", { sets: [signed([carol])] }, [asks(qa)]],
    [
      "an unproved key",
      { sets: [signed([alice])], people: withOwner(alice, person("alice", ["qa"], { proved: false })) },
      [asks(qa, "nobody (a signature of alice is by a key that alice has not proved to hold (goldseal key prove))")],
    ],
    [
      "a removed key",
      { sets: [signed([alice])], people: withOwner(alice, person("alice", ["qa"], { removed: true })) },
      [asks(qa, "nobody (a signature of alice is by a key that alice has no more)")],
    ],
    [
      "a key whose user left the team",
      { sets: [signed([alice])], people: withOwner(alice, person("alice", [])) },
      [asks(qa)],
    ],
    ["another user's key", { sets: [signed([alice])], people: withOwner(alice, person("carol", ["ops"])) }, [asks(qa)]],
    [
      "one person with two keys",
      { sets: [signed([alice, mallory])], people: twoKeys, rows: [row({ k: 2 })] },
      [asks("2 people of team qa with their own key", "alice")],
    ],
    [
      "one person in two delegations",
      {
        sets: [
          signedSet({
            roles: {
              "targets/a": { says: { "1.4": image }, by: [alice] },
              "targets/b": { says: { "1.4": image }, by: [alice] },
            },
          }),
        ],
        rows: [row({ k: 2 })],
      },
      [asks("2 people of team qa with their own key", "alice")],
    ],
    [
      "one key bare and in a certificate",
      { sets: [signed([alice, inCertificate(alice, certificateFor("alice"))])], rows: [row({ k: 2 })] },
      [asks("2 people of team qa with their own key", "alice")],
    ],
    [
      "one of two rules",
      { sets: [signed([alice])], rows: [row(), row({ team: "ops" })] },
      [asks("one person of team ops with their own key")],
    ],
    [
      "an expired signature",
      { sets: [signed([alice])], now: new Date(NOW.getTime() + 14 * DAY_MS + 1) },
      [asks(qa, `nobody (a signature of alice has expired at ${inDays(14).toISOString()})`)],
    ],
    [
      "other repository",
      { sets: [foreign] },
      [asks(qa, "nobody (a signature of alice is for registry.example.com:5000/qa/app:1.4)")],
    ],
    [
      "the image's own GUN where the rule names another",
      { sets: [signed([alice])], rows: [row({ gun: "qa/{name}" })] },
      [asks(qa, `nobody (a signature of alice is for ${NAME})`, `registry.example.com:5000/qa/app@${digest}`)],
    ],
    [
      "a signature for another tag of the same image (moved tag)",
      { sets: [signed([alice], { "1.3": image })] },
      [asks(qa, "nobody (a signature of alice is for registry.example.com:5000/ops/app:1.3)")],
    ],
    [
      "a signature for the same tag in capitals",
      { sets: [signed([alice], { V1: image })], subject: subjectOf("ops/app:v1") },
      [
        asks(
          qa,
          "nobody (a signature of alice is for registry.example.com:5000/ops/app:V1)",
          "registry.example.com:5000/ops/app:v1",
        ),
      ],
    ],
    ["unrelated entry: the tag is signed as another image", { sets: [signed([alice], { "1.4": other })] }, [asks(qa)]],
    ["targets/releases, which everybody signs", { sets: [signed([alice], undefined, "targets/releases")] }, [asks(qa)]],
    [
      "a role below targets/releases",
      { sets: [signedSet({ roles: { "targets/releases": { says: {}, by: [alice] } } })] },
      [asks(qa)],
    ],
    [
      "the top-level targets",
      { sets: [signedSet({ roles: { targets: { says: { "1.4": image }, by: [alice] } }, of: ownedBy(alice) })] },
      [asks(qa)],
    ],
    [
      "the server's delegation for people's keys",
      { sets: [signed([alice], undefined, "targets/goldseal-promote")] },
      [asks(qa, "nobody (a signature of alice is server-attested)")],
    ],
    [
      "the server's key for a team",
      { sets: [signed([server])], rows: [row({ class: "either" })] },
      [asks("one person of team qa or the server")],
    ],
    [
      "the server's key for a person",
      { sets: [signed([server])], rows: [{ k: 1, class: "client-key" }] },
      [asks("one person with their own key")],
    ],
    [
      "two keys of servers for two people",
      {
        sets: [signed([server, mallory])],
        people: withOwner(mallory, { kind: "machine", name: "acme-promote" }),
        rows: [{ k: 2, class: "either" }],
      },
      [asks("2 people or the server", "(machine)")],
    ],
    [
      "a person's own key where the rule wants the server",
      { sets: [signed([alice])], rows: [row({ class: "server-attested" })] },
      [asks("one person of team qa through the server", "nobody (a signature of alice is client-key)")],
    ],
    [
      "a length that is not the manifest's",
      {
        sets: [
          signedSet({
            roles: {
              "targets/a": { says: { "1.4": image }, by: [alice], change: put(["targets", "1.4", "length"], 1) },
            },
          }),
        ],
      },
      [asks(qa)],
    ],
    [
      "a second hash that is another file's",
      {
        sets: [
          signedSet({
            roles: {
              "targets/a": {
                says: { "1.4": image },
                by: [alice],
                change: put(["targets", "1.4", "hashes", "sha512"], Buffer.alloc(64).toString("base64")),
              },
            },
          }),
        ],
      },
      [asks(qa)],
    ],
    ["an entry without SHA-256", { sets: [bare] }, [asks(qa)]],
    [
      "a tag outside the delegated names",
      { sets: [signedSet({ roles: { "targets/a": { says: { "1.4": image }, by: [alice], paths: ["2"] } } })] },
      [asks(qa)],
    ],
    [
      "evidence about something else",
      { sets: [], more: [{ format: "cosign", spki: spkiOfPair(alice), digest: other.digest, statement: undefined }] },
      [asks(qa, "nobody (a signature of alice is about something else)")],
    ],
  ])("%s", async (_attack, given, missing) => {
    const verdict = await verdictOf(given);

    expect(verdict).toMatchObject({ allowed: false, until: undefined });
    expect(verdict.missing).toEqual(missing);
  });

  it("a whole GUN whose root the server holds, for people's keys", async () => {
    for (const owner of [ownedBy(server), rootedBy(server)]) {
      const set = signedSet({ roles: { "targets/a": { says: { "1.4": image }, by: [alice] } }, of: owner });

      expect(await verdictOf({ sets: [set] })).toMatchObject({
        allowed: false,
        signatures: [{ class: "server-attested" }],
      });
      expect(await verdictOf({ sets: [set], rows: [row({ class: "server-attested" })] })).toMatchObject({
        allowed: true,
      });
    }
  });

  it("a role under one whose keys the server holds, for people's keys", async () => {
    const set = signedSet({ roles: { "targets/a": { says: { "1.4": image }, by: [alice], keys: [alice] } } });
    const [evidence] = findTufEvidence(await set, subjectOf("ops/app:1.4")).evidence;
    if (evidence?.statement === undefined) throw new Error("no evidence");

    const definedBy = new Set([...evidence.statement.definedBy, spkiOfPair(server)]);
    const more = [{ ...evidence, statement: { ...evidence.statement, definedBy } }];

    expect(await verdictOf({ more })).toMatchObject({ allowed: false, signatures: [{ class: "server-attested" }] });
  });
});

describe("judge, asked for the tag,", () => {
  const asked = { needsTag: true };
  const sign = `; sign it: goldseal trust sign ${NAME}`;
  const cosigned = [{ format: "cosign" as const, spki: spkiOfPair(alice), digest, statement: undefined }];

  it.each<[string, Case, string]>([
    [
      "cosign alone, which binds no tag",
      { more: cosigned, requirement: asked },
      `the trust data of ${NAME} says nothing of it${sign}`,
    ],
    [
      "cosign alone, which is never fresh",
      { more: cosigned, requirement: { maxTimestampAgeSeconds: 3600 } },
      `the trust data of ${NAME} says nothing of it${sign}`,
    ],
    [
      "a tag that docker's role says is something else",
      {
        more: cosigned,
        sets: [
          signedSet({
            roles: {
              "targets/releases": { says: { "1.4": other }, by: [bob] },
              "targets/a": { says: { "1.4": image }, by: [alice] },
            },
          }),
        ],
        requirement: asked,
      },
      `the trust data of ${NAME} says that 1.4 is ${other.digest}${sign}`,
    ],
    [
      "a tag that another GUN speaks of",
      {
        more: cosigned,
        sets: [signedSet({ repository: "qa/app", roles: { "targets/a": { says: { "1.4": image }, by: [alice] } } })],
        requirement: asked,
      },
      `the trust data of ${NAME} says nothing of it${sign}`,
    ],
    [
      "a child where the tag is its index",
      {
        more: cosigned,
        sets: [signed([bob])],
        subject: subjectOf("ops/app:1.4", [indexOf(image), image]),
        requirement: asked,
      },
      `the trust data of ${NAME} says that 1.4 is ${digest}${sign}`,
    ],
    [
      "a timestamp that is too old by a second",
      {
        more: cosigned,
        sets: [signed([alice])],
        requirement: { maxTimestampAgeSeconds: 60 },
        now: new Date(NOW.getTime() + 60_001),
      },
      `the trust data of ${NAME} has a timestamp from ${NOW.toISOString()}, which is too old here${sign}`,
    ],
    [
      "a timestamp from the future",
      {
        more: cosigned,
        sets: [
          signedSet({
            roles: { "targets/a": { says: { "1.4": image }, by: [alice] } },
            timestamp: put(["expires"], inDays(15.1).toISOString()),
          }),
        ],
        requirement: asked,
      },
      `the trust data of ${NAME} has a timestamp that was made in the future${sign}`,
    ],
    [
      "a set that ran out since",
      { more: cosigned, sets: [signed([alice])], requirement: asked, now: new Date(NOW.getTime() + 15 * DAY_MS) },
      `the trust data of ${NAME} has expired at ${inDays(14).toISOString()}${sign}`,
    ],
    [
      "a clock that is none",
      { more: cosigned, sets: [signed([alice])], requirement: asked, now: new Date(Number.NaN) },
      `the trust data of ${NAME} has expired at ${inDays(14).toISOString()}${sign}`,
    ],
    [
      "a digest that no tag is",
      { more: cosigned, sets: [signed([bob], { "1.4": other })], subject: subjectOf("ops/app"), requirement: asked },
      `the trust data of registry.example.com:5000/ops/app@${digest} says nothing of it; sign it: goldseal trust sign registry.example.com:5000/ops/app@${digest}`,
    ],
  ])("refuses %s", async (_attack, given, sentence) => {
    expect(await verdictOf(given)).toMatchObject({ allowed: false, missing: [sentence] });
  });

  it("refuses another tag's binding, whoever hands it over", async () => {
    const binding = {
      gun: "registry.example.com:5000/ops/app" as never,
      tag: "1.3",
      role: "targets/a" as never,
      digest,
      expiresAt: inDays(1),
      freshAt: NOW,
    };

    expect((await verdictOf({ more: cosigned, binding, requirement: asked })).missing).toEqual([
      `the trust data of ${NAME} says that 1.3 is ${digest}${sign}`,
    ]);
  });

  it("takes a clock of the server that is a day ahead", async () => {
    const set = signedSet({
      roles: { "targets/a": { says: { "1.4": image }, by: [alice] } },
      timestamp: put(["expires"], inDays(15).toISOString()),
    });

    expect((await verdictOf({ sets: [set], requirement: asked })).allowed).toBe(true);
  });

  it("takes any tag's word for an image named by digest, and the index's for its child", async () => {
    const index = indexOf(image);

    expect(
      (
        await verdictOf({
          sets: [signed([alice], { zz: other, "1.4": index })],
          subject: subjectOf("ops/app", [index, image]),
          requirement: asked,
        })
      ).allowed,
    ).toBe(true);
  });
});

describe("judge says until when:", () => {
  const roles = (days: number) => ({
    "targets/a": { says: { "1.4": image }, by: [alice] },
    "targets/b": { says: { "1.4": image }, by: [bob], change: put(["expires"], inDays(days).toISOString()) },
  });

  it.each<[string, Case, Date | undefined]>([
    ["the timestamp's end", { sets: [signedSet({ roles: roles(20) })], rows: [row({ k: 2 })] }, inDays(14)],
    ["the end of the one that is needed", { sets: [signedSet({ roles: roles(3) })], rows: [row({ k: 2 })] }, inDays(3)],
    ["the later of two of which one is enough", { sets: [signedSet({ roles: roles(3) })] }, inDays(14)],
    [
      "the earliest of all rules",
      { sets: [signedSet({ roles: roles(3) })], rows: [row(), row({ team: "ops" })] },
      inDays(3),
    ],
    [
      "the end of targets above",
      { sets: [signedSet({ roles: roles(20), targets: put(["expires"], inDays(2).toISOString()) })] },
      inDays(2),
    ],
    [
      "when the timestamp gets too old",
      { sets: [signedSet({ roles: roles(20) })], requirement: { maxTimestampAgeSeconds: 86_400 } },
      inDays(1),
    ],
    [
      "nothing for what does not run out",
      { more: [{ format: "cosign", spki: spkiOfPair(alice), digest, statement: undefined }] },
      undefined,
    ],
    [
      "the binding's end, when it alone runs out",
      {
        more: [{ format: "cosign", spki: spkiOfPair(alice), digest, statement: undefined }],
        sets: [signed([carol])],
        requirement: { needsTag: true },
      },
      inDays(14),
    ],
  ])("%s", async (_what, given, until) => {
    const verdict = await verdictOf(given);

    expect([verdict.allowed, verdict.until]).toEqual([true, until]);
  });
});

describe("findTufEvidence names what does not count", () => {
  const reasons = async (roles: Parameters<typeof signedSet>[0]["roles"], subject = subjectOf("ops/app:1.4")) =>
    findTufEvidence(await signedSet({ roles }), subject).refusals.map(({ where, reason }) => `${where}: ${reason}`);

  it.each<[string, Parameters<typeof signedSet>[0]["roles"], string[]]>([
    [
      "a role that is everybody's",
      { "targets/releases": { says: { "1.4": image }, by: [alice] } },
      ["targets/releases: 1.4: says no person's name: sign it in a delegation of your own"],
    ],
    [
      "a length",
      { "targets/a": { says: { "1.4": image }, by: [alice], change: put(["targets", "1.4", "length"], 1) } },
      [`targets/a: 1.4: is said to be 1 bytes long and is ${image.bytes.length}`],
    ],
    [
      "names beyond what was delegated",
      { "targets/a": { says: { "1.4": image }, by: [alice], paths: ["2"] } },
      ["targets/a: 1.4: is outside the names that were delegated to it"],
    ],
    [
      "no hash that we know",
      {
        "targets/a": {
          says: { "1.4": image },
          by: [alice],
          change: put(["targets", "1.4", "hashes"], { md5: "AAAA" }),
        },
      },
      ["targets/a: 1.4: names no SHA-256"],
    ],
    [
      "a delegation that does not hold",
      { "targets/a": { says: { "1.4": image }, by: [mallory], keys: [alice] } },
      ["targets/a: valid signatures did not meet threshold for targets/a"],
    ],
    ["nothing of other images", { "targets/a": { says: { "1.4": other }, by: [alice] } }, []],
    [
      "nothing of other tags without a hash",
      { "targets/a": { says: { "1.3": image }, by: [alice], change: put(["targets", "1.3", "hashes"], {}) } },
      [],
    ],
  ])("%s", async (_what, roles, expected) => {
    expect(await reasons(roles)).toEqual(expected);
  });

  it("a second hash that is another file's", async () => {
    const change = put(["targets", "1.4", "hashes", "sha512"], Buffer.alloc(64).toString("base64"));

    expect(await reasons({ "targets/a": { says: { "1.4": image }, by: [alice], change } })).toEqual([
      expect.stringContaining("targets/a: 1.4: sha512 checksum for targets/a did not match"),
    ]);
  });
});

describe("a subject", () => {
  it.each<[string, () => unknown, string]>([
    [
      "bytes that are not what they are called",
      () => subjectOf("ops/app:1.4", [{ ...image, digest: other.digest }]),
      `what was given as ${other.digest} is something else`,
    ],
    [
      "a swapped child of an index",
      () => subjectOf("ops/app:1.4", [indexOf(image), other]),
      `the index ${indexOf(image).digest} does not list ${other.digest}`,
    ],
    ["a child that the index says is longer", () => subjectOf("ops/app:1.4", [longer(), image]), "does not list"],
    ["an image as another's index", () => subjectOf("ops/app:1.4", [other, image]), "does not list"],
    [
      "an index that cannot be read",
      () => subjectOf("ops/app:1.4", [{ ...indexOf(image), mediaType: "text/plain" }, image]),
      "cannot be read as an index",
    ],
  ])("refuses %s", (_attack, open, message) => {
    expect(open).toThrow(expect.objectContaining({ code: "BINDING", message: expect.stringContaining(message) }));
  });

  it("goes through an index of indexes", async () => {
    const inner = indexOf(image);
    const subject = subjectOf("ops/app:1.4", [indexOf(inner, other), inner, image]);

    expect([...subject.covering.keys()]).toEqual([indexOf(inner, other).digest, inner.digest, digest]);
    expect([subject.outermost, subject.digest]).toEqual([indexOf(inner, other).digest, digest]);
  });

  it("is known by SHA-256 whatever digest it was asked for by", async () => {
    expect(subjectOf("ops/app:1.4", [{ ...image, digest: digestOf(image.bytes, "sha512") }]).digest).toBe(digest);
  });
});

function ownedBy(pair: typeof alice): Repository {
  const owner = new Repository({ gun: "registry.example.com:5000/ops/app" as never });
  owner.keys.targets = pair;
  return owner;
}

function rootedBy(pair: typeof alice): Repository {
  const owner = new Repository({ gun: "registry.example.com:5000/ops/app" as never });
  owner.keys.root = inCertificate(pair, certificateFor(owner.gun));
  return owner;
}

/** An index that lists the image with a byte more. */
function longer() {
  const { bytes, mediaType } = indexOf(image);
  const text = Buffer.from(bytes).toString();
  return artifact(
    Buffer.from(text.replace(`"size":${image.bytes.length}`, `"size":${image.bytes.length + 1}`)),
    mediaType,
  );
}
