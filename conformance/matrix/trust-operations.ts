/** The operations on trust data, of the Notary v1 API: files and keys of a GUN, beside the repository that it names. */
import type { Operation, PlainName, Step } from "./operations.ts";
import type { Signed } from "./trust-data.ts";

const TRUST = {
  ...({ kind: "trust", isRead: false, changes: true } as const),
  ...{ sources: [], needsUpload: false, needsTrust: false },
} as const;

const pathOf = ({ gun }: Signed, file: string): string => `/v2/${gun}/_trust/${file}`;
const NOT_FOUND = [404, "METADATA_NOT_FOUND"] as const;
/** What a GUN without data answers: to delete nothing is no error, and a key is made before the first publish names it. */
const ALL_THE_SAME = [200, ""] as const;

/** A repository that was signed has the file; what the one before it signed is gone with it. */
function getFile(trust: Signed, file: string): Step {
  const sent = ["GET", pathOf(trust, file)] as const;
  return trust.isPublished
    ? { sent, ok: 200, missing: NOT_FOUND }
    : { sent, ok: NOT_FOUND[0], code: NOT_FOUND[1], missing: NOT_FOUND };
}

/** Shows what was done; others may look too without having done it. */
const seen = (allowed: boolean, step: Step): Step[] => (allowed ? [step] : []);

const onKeys = (trust: Signed, method: string, answers: Pick<Step, "missing" | "kept">): Step[] =>
  ["timestamp", "snapshot"].map(
    (role): Step => ({ sent: [method, pathOf(trust, `tuf/${role}.key`)], ok: 200, ...answers }),
  );

type TrustName = Extract<PlainName, `trust ${string}`>;

export const TRUST_OPERATIONS: Readonly<Record<TrustName, Operation>> = {
  "trust GET": {
    ...TRUST,
    ...{ token: "pull", isRead: true, changes: false },
    routes: ["trust-file", "trust-file-hash", "trust-file-version", "trust-changes"],
    steps: ({ trust }) => [
      getFile(trust, "tuf/timestamp.json"),
      getFile(trust, `tuf/root.${trust.rootHash}.json`),
      getFile(trust, "tuf/1.targets.json"),
      // A list, even of a GUN with nothing behind it.
      { sent: ["GET", pathOf(trust, "changefeed?records=10")], ok: 200, missing: ALL_THE_SAME },
    ],
  },
  "trust POST": {
    ...TRUST,
    token: "push,pull",
    routes: ["trust-update"],
    steps: ({ trust, allowed }) => [
      { sent: ["POST", pathOf(trust, "tuf/"), trust.update], ok: 200, kept: [400, "INVALID_GUN"] },
      ...seen(allowed, getFile({ ...trust, isPublished: true }, `tuf/root.${trust.rootHash}.json`)),
    ],
  },
  "trust key GET": {
    ...TRUST,
    ...{ token: "push,pull", changes: false },
    routes: ["trust-key-get"],
    steps: ({ trust }) => onKeys(trust, "GET", { kept: ALL_THE_SAME }),
  },
  "trust key rotate": {
    ...TRUST,
    ...{ token: "*", needsTrust: true },
    routes: ["trust-key-rotate"],
    steps: ({ trust }) => onKeys(trust, "POST", { missing: ALL_THE_SAME }),
  },
  "trust DELETE": {
    ...TRUST,
    ...{ token: "*", needsTrust: true },
    routes: ["trust-delete"],
    steps: ({ trust, allowed }) => [
      { sent: ["DELETE", pathOf(trust, "tuf/")], ok: 200, missing: ALL_THE_SAME },
      ...seen(allowed, getFile({ ...trust, isPublished: false }, "tuf/timestamp.json")),
    ],
  },
};
