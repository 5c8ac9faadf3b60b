/** Hardening T24, N08, N09: what targets say. */
import { type Attack, refuses } from "./testing/attack.ts";
import { on, roles } from "./testing/delegating.ts";
import { put } from "./testing/loose.ts";
import { metaOf } from "./testing/repository.ts";

const target = (name: string, value: unknown, message: string): Attack[] =>
  roles.map((role) => on(role, `a target with ${name}`, put(["targets", "v1"], value), message));
const { hashes } = metaOf(Buffer.from("an image")) as { hashes: object };

const sha512 = { sha512: Buffer.alloc(64, 1).toString("base64") };
refuses("targets that nothing binds to a manifest (T24)", [
  ...target("SHA-512 alone", { hashes: sha512, length: 5 }, 'target "v1" has no sha256 checksum'),
  ...target(
    "a hash of an unknown kind alone",
    { hashes: { md5: "AAAA" }, length: 5 },
    'target "v1" has no sha256 checksum',
  ),
  ...target("no hash", { hashes: {}, length: 5 }, 'target "v1" has no sha256 checksum'),
]);

refuses("targets that two readers read differently", [
  ...target("half a hash", { hashes: { sha256: "AAAA" }, length: 1 }, "invalid sha256 checksum length: 3 bytes"),
  ...target("an empty hash", { hashes: { sha256: "" }, length: 1 }, "invalid sha256 checksum length: 0 bytes"),
  ...target("a hash in hex", { hashes: { sha256: "zz" }, length: 1 }, "a hash is not base64"),
  ...target("a hash that is a number", { hashes: { sha256: 1 }, length: 1 }, "a hash is not a string"),
  ...target("a negative length", { hashes, length: -1 }, "a target has a negative length"),
  ...target("a length in quotes", { hashes, length: "5" }, "a length is not a whole number"),
  ...target(
    "Length beside length",
    { hashes, length: 5, Length: 6 },
    'a target has a member "Length" that others read as length',
  ),
  ...target(
    "Ha\u017fhes beside hashes",
    { hashes, length: 5, "ha\u017fhes": {} },
    'a target has a member "ha\u017fhes" that others read as hashes',
  ),
  ...target("nothing", null, "a target is not an object"),
  ...roles.map((role) => on(role, "targets as a list", put(["targets"], []), "targets is not an object")),
  ...roles.map((role) =>
    on(
      role,
      "Targets beside targets",
      put(["Targets"], {}),
      `${role} has a member "Targets" that others read as targets`,
    ),
  ),
]);
