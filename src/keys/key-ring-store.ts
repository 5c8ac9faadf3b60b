import type { Database } from "../storage/database.ts";
import { type KeyRing, SealError } from "./key-ring.ts";

const purpose = "key-ring-check";
const content = Buffer.from("goldseal");

/**
 * Proves that `ring` holds every key that sealed rows of this database, and leaves a proof for the key that seals now.
 * @throws Error with what to do; the process must not start then, or it would seal what others cannot open
 */
export async function checkKeyRing(database: Database, ring: KeyRing): Promise<void> {
  const { keyId, sealed } = ring.seal(purpose, content);
  await verifyAll(database, ring);
  await database.query("", "insert into key_ring_checks (key_id, sealed) values ($1, $2) on conflict do nothing", [
    keyId,
    sealed,
  ]);
  // Another process may have been first with the same id and another key.
  await verifyAll(database, ring);
}

/**
 * Once every row is sealed by the key that seals now: a process may start without the others from then on. Whoever starts with
 * another key first is asked for that one again.
 */
export async function forgetOldKeys(database: Database, ring: KeyRing): Promise<void> {
  await database.query("", "delete from key_ring_checks where key_id <> $1", [ring.sealingId]);
}

/** Why `ring` is not the one that sealed rows of this database, and the mend; undefined when it is, or nothing is sealed yet. */
export async function findRingFault(
  database: Database,
  ring: KeyRing,
): Promise<{ text: string; mend: string } | undefined> {
  const [table] = await database.query<{ made: boolean }>(
    "",
    "select to_regclass('key_ring_checks') is not null as made",
  );
  if (!table?.made) return undefined;
  const fault = await findFault(database, ring);
  return fault && { text: fault.text, mend: fault.mend };
}

async function verifyAll(database: Database, ring: KeyRing): Promise<void> {
  const fault = await findFault(database, ring);
  if (fault !== undefined) throw new Error(`${fault.text}. ${fault.mend}`, { cause: fault.cause });
}

async function findFault(
  database: Database,
  ring: KeyRing,
): Promise<{ text: string; mend: string; cause: SealError } | undefined> {
  const rows = await database.query<{ key_id: string; sealed: Uint8Array }>(
    "",
    "select key_id, sealed from key_ring_checks",
  );
  for (const { key_id: keyId, sealed } of rows) {
    try {
      ring.open(purpose, { keyId, sealed });
    } catch (cause) {
      if (!(cause instanceof SealError)) throw cause;
      const text = `the master key file does not belong to this database: ${cause.message}`;
      const mend =
        `Start with the file that was used before (it is kept beside the data, or named by GOLDSEAL_MASTER_KEY_FILE); ` +
        `it holds key ${keyId}, this one holds ${ring.ids.join(", ")}`;
      return { text, mend, cause };
    }
  }
  return undefined;
}
