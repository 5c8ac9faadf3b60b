/** Hardening T03 to T06, N02, N03: rollback, replay, fast-forward, freeze; and files of another kind. */
import { type Attack, fault, refuses } from "./testing/attack.ts";
import { invalid, onEachRole, TARGETS_OF_ATTACK, type Target } from "./testing/each-role.ts";
import { drop, put } from "./testing/loose.ts";
import { inDays } from "./testing/repository.ts";

const notRoot = TARGETS_OF_ATTACK.filter(({ role }) => role !== "root");
const onlyRoot = TARGETS_OF_ATTACK.filter(({ role }) => role === "root");
const old = (): Pick<Attack, "code" | "detail"> => ({ code: "VERSION", detail: {} });
const notNext = (version: number) => invalid(rootMessage(version));
const rootMessage = (version: number): string =>
  `Root modifications must increment the version. Current 1, new ${version}`;
const tooFar = (version: number): Attack[] =>
  onEachRole(
    `fast-forward to ${version}`,
    put(["version"], version),
    invalid((target) =>
      target.role === "root"
        ? rootMessage(version)
        : `${target.role} version ${version} is too far ahead: at most ${target.version + 10}`,
    ),
  );
const tooLow = (version: number): Attack[] => [
  ...onEachRole(`version ${version}`, put(["version"], version), belowOne, notRoot),
  ...onEachRole(`version ${version}`, put(["version"], version), notNext(version), onlyRoot),
];
const belowOne = invalid(({ role }) => `${role} type metadata invalid: version cannot be less than one`);

refuses("rollback and replay", [
  ...TARGETS_OF_ATTACK.map(
    (target): Attack => ({
      name: `${target.role}: the stored file once more`,
      repository: target.repository,
      parts: (copy) => [{ filename: target.role, bytes: copy.stored.get(target.role as never) ?? Buffer.of() }],
      honest: target.honest,
      ...old(),
    }),
  ),
  ...TARGETS_OF_ATTACK.flatMap((target) =>
    onEachRole("the stored version with other bytes", put(["version"], target.version), old, [target]),
  ),
  ...["targets", "snapshot"].flatMap((role) =>
    onEachRole(
      "the version before",
      put(["version"], 1),
      old,
      TARGETS_OF_ATTACK.filter((target) => target.role === role),
    ),
  ),
  ...tooLow(0),
  ...tooLow(-1),
  ...tooLow(-(2 ** 31)),
  ...onEachRole("no version", drop(["version"]), belowOne, notRoot),
  ...onEachRole("no version", drop(["version"]), notNext(0), onlyRoot),
  ...onEachRole("version null", put(["version"], null), belowOne, notRoot),
  ...onEachRole("version null", put(["version"], null), notNext(0), onlyRoot),
  ...onEachRole("a version left out, which breaks the chain", put(["version"], 3), notNext(3), onlyRoot),
]);

refuses("fast-forward", [
  ...notRoot.flatMap((target) => {
    const version = target.version + 11;
    const message = `${target.role} version ${version} is too far ahead: at most ${target.version + 10}`;
    return onEachRole("eleven versions on", put(["version"], version), invalid(message), [target]);
  }),
  ...tooFar(2 ** 31 - 1),
  ...tooFar(2 ** 31),
  ...tooFar(2 ** 53 - 1),
]);

const at = (days: number, seconds = 0): string => new Date(inDays(days).getTime() + seconds * 1000).toISOString();
const expired = (date: string) => invalid(({ role }) => `${role} expired at ${date}`);
const aboutTo = invalid(({ role }) => `${role} is about to expire: sign it again`);
const tooLong = invalid(({ role }) => `${role} is valid too long: at most ${role === "root" ? 3650 : 1095} days`);
const longest = ({ role }: Target): number => (role === "root" ? 3650 : 1095);

refuses("freeze and endless life", [
  ...onEachRole("expired a second ago", put(["expires"], at(0, -1)), expired("Sun Nov 22 11:59:59 UTC 2026")),
  ...onEachRole("expired a year ago", put(["expires"], at(-365)), expired("Sat Nov 22 12:00:00 UTC 2025")),
  ...onEachRole("no expiry", drop(["expires"]), expired("Mon Jan 1 00:00:00 UTC 0001")),
  ...onEachRole("expiry null", put(["expires"], null), expired("Mon Jan 1 00:00:00 UTC 0001")),
  ...onEachRole(
    "expired, written with an offset that looks later",
    put(["expires"], "2026-11-22T13:59:59+02:00"),
    expired("Sun Nov 22 11:59:59 UTC 2026"),
  ),
  ...onEachRole("ends in a minute", put(["expires"], at(0, 60)), aboutTo),
  ...onEachRole("ends in 59 minutes", put(["expires"], at(0, 59 * 60)), aboutTo),
  ...TARGETS_OF_ATTACK.flatMap((target) =>
    onEachRole("two days more than allowed", put(["expires"], at(longest(target) + 2)), tooLong, [target]),
  ),
  ...onEachRole("valid until the year 9999", put(["expires"], "9999-12-31T23:59:59Z"), tooLong),
]);

const TYPE: Readonly<Record<string, string>> = { root: "Root", snapshot: "Snapshot" };
const typed = (written: string) =>
  invalid(({ role }) => `${role} type metadata invalid: expected type ${TYPE[role] ?? "Targets"}, not ${written}`);
const otherTypes = (target: Target): string[] =>
  ["Root", "Targets", "Snapshot", "Timestamp", "Mirrors", (TYPE[target.role] ?? "Targets").toLowerCase(), ""].filter(
    (type) => type !== (TYPE[target.role] ?? "Targets"),
  );

/** A delegation is read before its signatures are counted. */
const nothingIn = ({ role }: Target): string => {
  if (role === "root") return rootMessage(0);
  return role.includes("/")
    ? `${role} type metadata invalid: ${role} file contained an empty payload`
    : "tuf: data has no signatures";
};

refuses("a file of another kind under a role's name", [
  ...TARGETS_OF_ATTACK.flatMap((target) =>
    otherTypes(target).flatMap((type) => onEachRole(`_type "${type}"`, put(["_type"], type), typed(type), [target])),
  ),
  ...onEachRole("no _type", drop(["_type"]), typed("")),
  ...TARGETS_OF_ATTACK.map(
    (target): Attack => ({
      name: `${target.role}: an empty object`,
      repository: target.repository,
      parts: () => [{ filename: target.role, bytes: Buffer.from("{}") }],
      honest: target.honest,
      code: "INVALID_UPDATE",
      detail: fault(target.errorName, nothingIn(target)),
    }),
  ),
  ...TARGETS_OF_ATTACK.map(
    (target): Attack => ({
      name: `${target.role}: signed null`,
      repository: target.repository,
      parts: () => [{ filename: target.role, bytes: Buffer.from('{"signed":null,"signatures":null}') }],
      honest: target.honest,
      code: "INVALID_UPDATE",
      detail: fault(target.errorName, nothingIn(target)),
    }),
  ),
]);
