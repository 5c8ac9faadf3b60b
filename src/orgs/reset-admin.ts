import { randomBytes } from "node:crypto";
import type { Database } from "../storage/database.ts";
import { type AuditEntry, AuditStore } from "./audit-store.ts";
import { adminName } from "./open-orgs.ts";
import { Passwords } from "./passwords.ts";
import { UsersStore } from "./users-store.ts";

/**
 * Gives the user `admin` a new password, for whoever may read the database anyway: all tokens of the account end, and a
 * suspension does. It is on record. Returns the password: it can be shown only now.
 * @throws Error when there is no user `admin`, or it is no system administrator
 */
export async function resetAdmin(database: Database, now: Date): Promise<string> {
  const users = new UsersStore(database);
  const admin = await users.find(adminName);
  if (admin?.systemAdmin !== true)
    throw new Error(`there is no system administrator ${adminName} here; any other one can make it one`);
  const password = randomBytes(18).toString("base64url");
  const passwordHash = await new Passwords().hash(password);
  const change = { passwordHash, suspended: false, systemAdmin: undefined, auditor: undefined };
  const audit = new AuditStore(database);
  const entry: AuditEntry = {
    ...{ at: now, actor: "", actorId: 0, source: "this machine", requestId: "", decisionId: undefined, detail: {} },
    ...{ action: "admin-password", target: adminName, namespace: adminName, outcome: "done" },
  };
  await users.put(adminName, change, { check: () => undefined, confirm: (sql) => audit.insertWithin(sql, entry) });
  return password;
}
