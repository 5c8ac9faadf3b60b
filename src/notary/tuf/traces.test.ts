/** The uploads that docker and notary really sent, judged in their order: none that their server took is refused. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { toCanonical } from "./canonical-json.ts";
import { VerificationError } from "./error.ts";
import { type Key, makeKey } from "./key.ts";
import { parseRoot, parseTargets } from "./metadata.ts";
import { type KeyId, parseGun, ROOT, type RoleName, SNAPSHOT, TARGETS, TIMESTAMP } from "./names.ts";
import { verifyRootSuccession } from "./root-succession.ts";
import { parseSignedFile, type SignedFile, toFileBytes } from "./signed-file.ts";
import { refusalOf } from "./testing/attack.ts";
import { toStored } from "./testing/repository.ts";
import { type JudgedUpdate, judgeUpdate } from "./update.ts";
import { readParts } from "./upload.ts";
import { type RoleKeys, verifyRole } from "./verify.ts";

interface Traces {
  readonly serverKeys: Record<string, { role: "snapshot" | "timestamp"; keytype: string; public: string }[]>;
  readonly uploads: { trace: string; gun: string; status: number; parts: { filename: string; text: string }[] }[];
  readonly files: { gun: string; role: string; text: string }[];
}

const traces: Traces = JSON.parse(readFileSync(join(import.meta.dirname, "testing/data/traces.json"), "utf8"));
const NOW = new Date("2026-11-22T16:00:00Z");
type Stored = Map<RoleName, Uint8Array>;

const uploadsOf = (gun: string) => traces.uploads.filter((upload) => upload.gun === gun);
const filesOf = (gun: string, role: string) => traces.files.filter((file) => file.gun === gun && file.role === role);
const findVersion = (gun: string, role: string, version: number): Buffer => {
  const all = filesOf(gun, role).map(({ text }) => Buffer.from(text));
  const found = all.find((bytes) => parseSignedFile(bytes).version === version);
  if (found === undefined) throw new Error(`no ${role} v${version} of ${gun} in the traces`);
  return found;
};

const toKey = ({ keytype, public: base64 }: { keytype: string; public: string }): Key =>
  makeKey(keytype, Buffer.from(base64, "base64"));

/** Where the traces do not show the key answers, the server holds what the root lists. */
function heldKeys(gun: string, role: "snapshot" | "timestamp", listed: readonly KeyId[]): ReadonlySet<KeyId> {
  const answers = traces.serverKeys[gun]?.filter((answer) => answer.role === role);
  return new Set(answers?.map((answer) => toKey(answer).id) ?? listed);
}

function judge(gun: string, texts: readonly { filename: string; text: string }[], stored: Stored): JudgedUpdate {
  const parts = readParts(texts.map(({ filename, text }) => ({ filename, bytes: Buffer.from(text) })));
  const rootBytes = parts.find(({ role }) => role === ROOT)?.file.bytes ?? stored.get(ROOT) ?? Buffer.of();
  const { roles } = parseRoot(rootBytes);
  const serverKeys = {
    snapshot: heldKeys(gun, "snapshot", roles.snapshot.keyIds),
    timestamp: heldKeys(gun, "timestamp", roles.timestamp.keyIds),
  };
  return judgeUpdate({ gun: parseGun(gun), parts, stored: toStored(stored, parts), serverKeys, now: NOW });
}

/** The traces hold no private keys, so what the server would sign is stored without signatures. */
function store({ uploaded, snapshot, timestamp }: JudgedUpdate, stored: Stored): void {
  const unsigned = (type: string, version: number, meta: JudgedUpdate["snapshot"] | undefined): Buffer => {
    const hashes = (sha: Buffer | undefined) => ({ sha256: (sha ?? Buffer.alloc(32)).toString("base64") });
    const entries = [...(meta?.meta ?? [["snapshot", undefined] as const])].map(([role, entry]) => {
      return [role, { hashes: hashes(entry?.hashes.get("sha256")), length: entry?.length ?? 0 }];
    });
    const signed = { _type: type, expires: "2029-01-01T00:00:00Z", meta: Object.fromEntries(entries), version };
    return toFileBytes(toCanonical(signed), []);
  };
  for (const { role, bytes } of uploaded) stored.set(role, bytes);
  if (snapshot) stored.set(SNAPSHOT, unsigned("Snapshot", snapshot.version, snapshot));
  stored.set(TIMESTAMP, unsigned("Timestamp", timestamp.version, undefined));
}

function replay(gun: string, stored: Stored = new Map()): string[] {
  return uploadsOf(gun).map(({ trace, parts, status }) => {
    if (status !== 200) return `${trace}: ${JSON.stringify(refusalOf(() => judge(gun, parts, stored)))}`;
    const judged = judge(gun, parts, stored);
    store(judged, stored);
    const files = judged.uploaded.map(({ role, version }) => `${role} ${version}`);
    return `${trace.slice(0, 2)}: ${files.join(", ")} + ${judged.toProduce.join(", ")}`;
  });
}

describe("traces of docker and notary", () => {
  it("docker trust: signer add, sign, sign again with no part, revoke, and a version conflict", () => {
    expect(replay("127.0.0.1:17000/lab/bb")).toEqual([
      "01: root 1, targets 2 + snapshot, timestamp",
      "02: targets/alice 1, targets/releases 1 + snapshot, timestamp",
      "04:  + snapshot, timestamp",
      "06: targets/alice 2, targets/releases 2 + snapshot, timestamp",
      "07: targets 4 + snapshot, timestamp",
      '07-version-conflict: {"code":"VERSION","detail":{}}',
    ]);
  });

  it("docker push with content trust: first and second tag, then revoke", () => {
    expect(replay("127.0.0.1:17000/lab/dct")).toEqual([
      "05: root 1, targets 2 + snapshot, timestamp",
      "05: targets 3 + snapshot, timestamp",
      "06: targets 4 + snapshot, timestamp",
      "06: targets 5 + snapshot, timestamp",
    ]);
  });

  it("docker with ECDSA server keys", () => {
    expect(replay("192.0.2.2:17002/lab/e2e-3188127196")).toEqual(["16: root 1, targets 2 + snapshot, timestamp"]);
  });

  it("notary: a client's snapshot, then both server keys rotated", () => {
    const gun = "example.com/coll1";
    const stored: Stored = new Map();
    const first = uploadsOf(gun).slice(0, 3);

    const judged = first.map(({ parts }) => {
      const update = judge(gun, parts, stored);
      store(update, stored);
      return update.toProduce;
    });

    expect(judged).toEqual([["timestamp"], ["snapshot", "timestamp"], ["snapshot", "timestamp"]]);
    expect(stored.size).toBe(4);
  });

  it("notary: the root's key rotated twice, each signed by the old and the new one", () => {
    const gun = parseGun("example.com/coll1");
    const [v6, v7] = [6, 7].map((version) => parseSignedFile(findVersion(gun, "root", version)));

    const current = parseRoot(v6?.bytes ?? Buffer.of());
    const next = verifyRootSuccession(v7 as NonNullable<typeof v7>, { gun, current, now: NOW });

    expect([current.version, next.version]).toEqual([6, 7]);
    expect(next.roles.root.keyIds).not.toEqual(current.roles.root.keyIds);
    expect(v7?.signatures.length).toBe(2);
  });

  it('notary: the last delegation removed, with "roles":null and a client\'s snapshot', () => {
    const gun = "example.com/coll1";
    const stored: Stored = new Map([
      [ROOT, findVersion(gun, "root", 7)],
      [SNAPSHOT, findVersion(gun, "snapshot", 9)],
    ]);
    const { parts } = uploadsOf(gun).at(-1) ?? { parts: [] };

    const { uploaded, toProduce } = judge(gun, parts, stored);

    expect(uploaded.map(({ role, version }) => `${role} ${version}`)).toEqual(["targets 6", "snapshot 11"]);
    expect(toProduce).toEqual(["timestamp"]);
  });

  it("notary with a token: the snapshot's key handed to the server", () => {
    const gun = parseGun("127.0.0.1:17000/lab/n2");
    const [, file] = [1, 2].map((version) => parseSignedFile(findVersion(gun, "root", version)));

    const current = parseRoot(findVersion(gun, "root", 1));
    const next = verifyRootSuccession(file as NonNullable<typeof file>, { gun, current, now: NOW });

    expect(next.roles.snapshot.keyIds).not.toEqual(current.roles.snapshot.keyIds);
  });
});

describe("every file of the traces", () => {
  it.each(traces.files.map((file, index) => [`${index} ${file.gun} ${file.role}`, file] as const))(
    "%s is written as we would write it, and its role signed it",
    (_title, { gun, role, text }) => {
      const file = parseSignedFile(Buffer.from(text));

      expect(toFileBytes(file.message, file.signatures).toString()).toBe(text);
      // bob signed this one; the targets that list him were not recorded.
      const isBobs = role === "targets/releases" && file.version === 3;
      expect(candidatesOf(gun, role).some((keys) => isSigned(file, role, keys))).toBe(!isBobs);
    },
  );

  it("none verifies after one changed digit", () => {
    for (const { gun, role, text } of traces.files) {
      const file = parseSignedFile(Buffer.from(text.replace(/"version":(\d+)/, '"version":1$1')));
      expect(candidatesOf(gun, role).some((keys) => isSigned(file, role, keys))).toBe(false);
    }
  });
});

/** Whoever may have signed it: the traces do not say which root or targets were in force. */
function candidatesOf(gun: string, role: string): RoleKeys[] {
  const roots = filesOf(gun, "root").map(({ text }) => parseRoot(Buffer.from(text)));
  if (role.includes("/")) {
    const targets = filesOf(gun, "targets").map(({ text }) => parseTargets(Buffer.from(text), TARGETS));
    return targets.flatMap(({ delegations }) => delegations.filter(({ name }) => name === role));
  }
  const answers = (traces.serverKeys[gun] ?? []).filter((answer) => answer.role === role).map(toKey);
  const answered = answers.map((key) => ({ keyIds: [key.id], threshold: 1, keys: new Map([[key.id, key]]) }));
  return [...roots.map(({ roles }) => roles[role as keyof typeof roles]), ...answered];
}

function isSigned(file: SignedFile, role: string, keys: RoleKeys): boolean {
  try {
    verifyRole(file, role, keys);
    return true;
  } catch (error) {
    if (error instanceof VerificationError) return false;
    throw error;
  }
}
