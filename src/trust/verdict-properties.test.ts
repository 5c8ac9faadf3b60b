/** What must hold for any evidence, people and rules. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Evidence, Statement, TagBinding } from "./evidence.ts";
import type { KeyOwner } from "./people.ts";
import type { RequireRow } from "./require.ts";
import { AUTHORITY, image, NOW, other, person, requirement, subjectOf } from "./testing/world.ts";
import { judge, type Verdict, type VerdictInput } from "./verdict.ts";

const [subject, DAY] = [subjectOf("ops/app:1.4"), 86_400_000];
const user = fc.constantFrom("alice", "bob", "carol");
const team = fc.constantFrom("qa", "ops");
const spki = fc.constantFrom("k0", "k1", "k2", "k3", "k4", "k5");
const time = (from: number, to: number) =>
  fc.integer({ min: from, max: to }).map((days) => new Date(NOW.getTime() + days * DAY));
const gun = fc.constantFrom("ops/app", "ops/app", "qa/app").map((repository) => `${AUTHORITY}/${repository}` as never);
const digest = fc.constantFrom(image.digest, image.digest, image.digest, other.digest);
const dated = { gun, tag: fc.constantFrom("1.4", "1.4", "1.4", "1.3"), expiresAt: time(-1, 9), freshAt: time(-6, 0) };

const statement: fc.Arbitrary<Statement> = fc.record({
  ...dated,
  role: fc.constantFrom("targets/a", "targets/b", "targets/goldseal-auto").map((role) => role as never),
  definedBy: fc.uniqueArray(spki, { maxLength: 1 }).map((keys) => new Set(keys)),
});
const evidence: fc.Arbitrary<Evidence> = fc.record({
  format: fc.constantFrom("tuf" as const, "cosign" as const),
  spki,
  digest,
  statement: fc.option(statement, { nil: undefined, freq: 3 }),
});
const binding: fc.Arbitrary<TagBinding> = fc.record({ ...dated, role: fc.constant("targets" as never), digest });
const owner: fc.Arbitrary<KeyOwner> = fc.oneof(
  {
    weight: 7,
    arbitrary: fc.tuple(user, fc.uniqueArray(team, { minLength: 1 })).map(([name, teams]) => person(name, teams)),
  },
  { weight: 1, arbitrary: user.map((name) => person(name, ["qa", "ops"], { proved: false })) },
  { weight: 1, arbitrary: user.map((name) => person(name, ["qa", "ops"], { removed: true })) },
  { weight: 1, arbitrary: fc.constant({ kind: "machine", name: "auto" } as const) },
);
const rule: fc.Arbitrary<RequireRow> = fc.record(
  {
    team,
    k: fc.constantFrom(1, 1, 1, 2),
    class: fc.constantFrom("client-key", "server-attested", "either"),
    gun: fc.constant("qa/{name}"),
  },
  { requiredKeys: ["k", "class"] },
);
const input: fc.Arbitrary<VerdictInput> = fc.record({
  subject: fc.constant(subject),
  evidence: fc.array(evidence, { minLength: 2, maxLength: 12, size: "max" }),
  binding: fc.option(binding, { nil: undefined, freq: 3 }),
  people: fc.array(fc.tuple(spki, owner), { minLength: 5, maxLength: 9 }).map((entries) => new Map(entries)),
  requirement: fc
    .record({
      rows: fc.array(rule, { minLength: 1, maxLength: 2 }),
      needsTag: fc.constantFrom(false, false, true),
      maxTimestampAgeSeconds: fc.constantFrom(undefined, undefined, 4 * 86_400),
    })
    .map(({ rows, ...rest }) => requirement(rows, rest)),
  now: fc.constant(NOW),
});

/** Every property must see both outcomes, or it says nothing. */
function check(property: (given: VerdictInput, verdict: Verdict, pick: number) => void): void {
  const seen = { allowed: 0, refused: 0 };
  fc.assert(
    fc.property(input, fc.nat(99), (given, pick) => {
      const verdict = judge(given);
      seen[verdict.allowed ? "allowed" : "refused"]++;
      property(given, verdict, pick);
    }),
    { numRuns: 2000 },
  );
  expect(seen.allowed).toBeGreaterThan(100);
  expect(seen.refused).toBeGreaterThan(100);
}

const without = <T>(list: readonly T[], pick: number): T[] => list.filter((_, index) => index !== pick % list.length);

describe("judge, for whatever it is given,", () => {
  it("never allows after evidence is taken away what it refused before", () => {
    check((given, { allowed }, pick) => {
      const less = judge({
        ...given,
        evidence: without(given.evidence, pick),
        binding: pick % 3 === 0 ? undefined : given.binding,
      });

      expect(less.allowed && !allowed).toBe(false);
    });
  });

  it("never allows more by a person less, nor by a team less", () => {
    check(({ people, ...given }, { allowed }, pick) => {
      const teamless = [...people].map(
        ([key, entry], index) =>
          [
            key,
            index === pick % people.size && entry.kind === "person" ? { ...entry, teams: new Set<string>() } : entry,
          ] as const,
      );

      for (const fewer of [
        new Map(teamless),
        new Map(without([...people], pick).filter(([, { kind }]) => kind === "person")),
      ]) {
        const less = judge({ ...given, people: fewer });
        // To forget that a key is a machine's is no loss of a person.
        if ([...people.values()].every(({ kind }) => kind === "person")) expect(less.allowed && !allowed).toBe(false);
      }
    });
  });

  it("never allows more by a rule more, a larger k, or a younger age", () => {
    check((given, { allowed }, pick) => {
      const { require, ...rest } = given.requirement;
      const harder = [
        { ...rest, require: [...require, { k: 1, class: "client-key" as const }] },
        {
          ...rest,
          require: require.map((row, index) => (index === pick % require.length ? { ...row, k: row.k + 1 } : row)),
        },
        { ...rest, require, maxTimestampAgeSeconds: 86_400 },
        { ...rest, require, needsTag: true },
      ];

      for (const one of harder) expect(judge({ ...given, requirement: one }).allowed && !allowed).toBe(false);
    });
  });

  it("does not care for the order, or for saying it twice", () => {
    check((given, verdict) => {
      const again = judge({ ...given, evidence: [...given.evidence, ...given.evidence].reverse() });

      expect([again.allowed, again.until, again.rows]).toEqual([verdict.allowed, verdict.until, verdict.rows]);
    });
  });

  it("allows only with k different users, each of the team, each by a proved key of theirs in the evidence", () => {
    check(({ evidence: given, people, requirement: { require } }, { allowed, rows }) => {
      if (!allowed) return;
      for (const [index, { team: wanted, k, class: kind }] of require.entries()) {
        const { who = [] } = rows[index] ?? {};
        expect(new Set(who).size).toBeGreaterThanOrEqual(k);
        for (const name of who.filter((each) => each !== "(machine)")) {
          const owns = given.some(({ spki: key, digest: signed }) => {
            const found = people.get(key);
            if (found?.kind !== "person" || signed !== image.digest) return false;
            return (
              found.user === name && found.proved && !found.removed && (wanted === undefined || found.teams.has(wanted))
            );
          });
          expect(owns).toBe(true);
        }
        if (who.includes("(machine)")) expect([wanted, kind === "client-key"]).toEqual([undefined, false]);
      }
    });
  });

  it("holds until the end it gives and, with nothing new, not for ever after", () => {
    check((given, { allowed, until }) => {
      if (!allowed || until === undefined) return;

      expect(judge({ ...given, now: until }).allowed).toBe(true);
      expect(judge({ ...given, now: new Date(until.getTime() + 1) }).allowed).toBe(false);
    });
  });

  it("says why, exactly when it refuses", () => {
    check((_given, { allowed, missing }) => {
      expect(missing.length === 0).toBe(allowed);
    });
  });
});
