/** The tamperings that a verdict must not be taken in by, each by its name. */

import { describe, expect, it } from "vitest";
import { put } from "../notary/tuf/testing/loose.ts";
import { certificateFor, DAY_MS, inDays } from "../notary/tuf/testing/repository.ts";
import { inCertificate } from "../notary/tuf/testing/test-key.ts";
import { asks, NAME, ownedBy, signed } from "./testing/signed.ts";
import { alice, bob, carol, mallory, spkiOfPair } from "./testing/signers.ts";
import {
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

const digest = image.digest;

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
    [
      "a rule whose GUN leads nowhere",
      {
        sets: [signed([alice])],
        subject: subjectOf(`ops/${"a".repeat(200)}`),
        rows: [row({ gun: "qa/{name}/{name}" })],
      },
      [
        `${digest} must be signed by one person of team qa with their own key, and is by nobody (a signature of alice is in ${NAME.replace(/:[^:]*$/, "")}); the rule's GUN leads nowhere for this image`,
      ],
    ],
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
      [asks(qa, "nobody (a signature of alice is in registry.example.com:5000/qa/app)")],
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
});
