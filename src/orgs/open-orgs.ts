import { randomBytes } from "node:crypto";
import type { Log } from "../http/log.ts";
import type { Request } from "../http/request.ts";
import type { RestOperation } from "../http/rest-operation.ts";
import type { Gate, Protocol, Witness } from "../http/route.ts";
import type { KeyRing } from "../keys/key-ring.ts";
import { forgetOldKeys } from "../keys/key-ring-store.ts";
import type { Actor, Authorize, RepositoryAction } from "../oci/access.ts";
import type { Confirm, Database, Sql } from "../storage/database.ts";
import { type Failpoint, noFailpoint } from "../storage/failpoint.ts";
import type { RepositoryStore } from "../storage/repository-store.ts";
import { openAccessLookup } from "./access-lookup.ts";
import type { AuditEntry } from "./audit-store.ts";
import { newDecisionId } from "./audit-witness.ts";
import { Authenticator } from "./authenticator.ts";
import { createAuthorize, createListable, type Listable } from "./authorize.ts";
import {
  type BelongsTo,
  createBelongsTo,
  createFindUnknownTeams,
  createMaySign,
  type FindUnknownTeams,
  type MaySign,
} from "./belonging.ts";
import { createConfirm } from "./confirm.ts";
import { createConfirmRights, createJudgeRights, type HoldRights } from "./confirm-rights.ts";
import { OrgsError } from "./errors.ts";
import { type Finding, toEntry } from "./findings.ts";
import { createGate } from "./gate.ts";
import { GrantsStore } from "./grants-store.ts";
import { openDirectories } from "./ldap/open-directories.ts";
import { openAudit } from "./open-audit.ts";
import { OrgsStore } from "./orgs-store.ts";
import { Passwords } from "./passwords.ts";
import { findPeopleOfKeys, findPersonOfKeyId, type PersonOfKey } from "./people-of-keys.ts";
import { findPeopleWhoSign, type KeyOfPerson, type WhoMaySign } from "./people-who-sign.ts";
import { PersonalTokensStore } from "./personal-tokens-store.ts";
import { RefreshTokensStore } from "./refresh-tokens-store.ts";
import type { RepositoriesApiDeps } from "./repositories-api.ts";
import { RobotsStore } from "./robots-store.ts";
import { orgsOperationsOf, restProtocol, tokenProtocol } from "./routes.ts";
import { openSecretsLookup } from "./secrets-lookup.ts";
import { SignInLimits } from "./sign-in-limits.ts";
import { findTeamsOfUser } from "./teams-of-user.ts";
import { TeamsStore } from "./teams-store.ts";
import { TokenKeys } from "./token-keys.ts";
import { TokenKeysStore } from "./token-keys-store.ts";
import { TokenService } from "./token-service.ts";
import { TokenVerifier } from "./token-verifier.ts";
import { UserKeysStore } from "./user-keys-store.ts";
import { passwordSchema } from "./users-api.ts";
import { UsersStore } from "./users-store.ts";
import { createListVisible } from "./visible-repositories.ts";

export interface OrgsSettings {
  readonly publicUrl: string;
  readonly authChallenge: "bearer" | "basic";
  readonly tokenTtlSeconds: number;
  /** Whether those who do not sign in may pull what is public. */
  readonly anonymous: boolean;
  /** The file that describes the directories users may sign in by. */
  readonly ldapFile?: string | undefined;
  /** The user that the cluster's bridge signs in as. */
  readonly bridgeAccount?: string | undefined;
}

export interface OrgsOptions {
  readonly database: Database;
  readonly ring: KeyRing;
  readonly repositories: RepositoryStore;
  readonly settings: OrgsSettings;
  readonly releaseTrust: RepositoriesApiDeps["releaseTrust"];
  /** Nouns of other rooms. */
  readonly operations: readonly RestOperation[];
  /** Seals what other rooms have sealed anew; returns how many rows. */
  readonly reseal: () => Promise<number>;
  readonly failpoint?: Failpoint;
  readonly log: Log;
  readonly now?: () => Date;
}

export interface Orgs {
  readonly gate: Gate;
  readonly authorize: Authorize;
  /** Whether who asks may read everything: a system administrator or an auditor. */
  readonly readsAll: (actor: Actor) => Promise<boolean>;
  readonly catalog: (actor: Actor, after: string, limit: number) => Promise<string[]>;
  readonly listable: Listable;
  /** Whom keys lead to (hex SHA-256 of their SPKI), with their teams in `org`: see people-of-keys.ts. */
  readonly findPeopleOfKeys: (spkis: readonly string[], org: string) => Promise<ReadonlyMap<string, PersonOfKey>>;
  /** Everybody whom a rule can count, with their keys: see people-who-sign.ts. */
  readonly belongsTo: BelongsTo;
  readonly findUnknownTeams: FindUnknownTeams;
  readonly maySign: MaySign;
  /** Puts on record what the server itself found out, in the transaction that keeps it. */
  readonly recordFinding: (sql: Sql, finding: Finding) => Promise<void>;
  /** The same of something that a request was given, which needs no transaction. */
  readonly noteFinding: (request: Request, finding: Omit<Finding, "at">) => void;
  /** The same of something that was refused elsewhere than here; returns the id to ask about. */
  readonly noteRefusal: (request: Request, finding: Omit<Finding, "at">) => string;
  readonly findPeopleWhoSign: (who: WhoMaySign) => Promise<readonly KeyOfPerson[]>;
  readonly protocols: readonly Protocol[];
  /** Of the change that a request makes: see confirm.ts. */
  readonly confirm: (request: Request, action?: RepositoryAction) => Confirm;
  /** As `confirm`, of repositories that the route does not name: see confirm-rights.ts. */
  readonly confirmRights: HoldRights;
  /** The same, for what is not a change, or not yet: nothing is put on record. */
  readonly judgeRights: HoldRights;
  /** The teams that a user is in now, `org/team`. */
  readonly findTeams: (sql: Sql, userId: number) => Promise<ReadonlySet<string>>;
  /** What no request asked for just now, in the transaction that does it. */
  readonly record: (sql: Sql, deed: Deed) => Promise<void>;
  /** Puts on record what the door sees. */
  readonly witness: Witness;
  /** Ends background work and writes what waits; requests must have drained before. */
  close(): Promise<void>;
}

/** Something that the server does by itself, on somebody's behalf. */
export type Deed = Pick<AuditEntry, "at" | "actor" | "action" | "target" | "namespace" | "detail">;

/** Everything about who may do what, put together; the token service has a key to sign with when this returns. */
export async function openOrgs({
  database,
  ring,
  repositories,
  settings,
  releaseTrust,
  operations: others,
  reseal,
  failpoint = noFailpoint,
  log,
  now = () => new Date(),
}: OrgsOptions): Promise<Orgs> {
  const { publicUrl, authChallenge, tokenTtlSeconds } = settings;
  const rules = { anonymous: settings.anonymous, bridgeAccount: settings.bridgeAccount };
  const service = new URL(publicUrl).host;
  const findAccess = openAccessLookup(database);
  const tokenKeysStore = new TokenKeysStore(database, ring);
  const keys = new TokenKeys({ store: tokenKeysStore, tokenTtlSeconds, now });
  await keys.ensure();
  const tokenSettings = { issuer: publicUrl, service, tokenTtlSeconds, keys, now };
  const passwords = new Passwords();
  const limits = new SignInLimits(database, now);
  const refreshTokens = new RefreshTokensStore(database);
  const {
    audit,
    auditStore,
    witness,
    close: closeAudit,
  } = await openAudit({
    ...{ database, log, now },
    sweep: async () => {
      await limits.sweep();
      await refreshTokens.sweep();
    },
  });
  const directories =
    settings.ldapFile === undefined
      ? undefined
      : await openDirectories({ file: settings.ldapFile, database, passwords, audit, log, now });
  const findSecret = openSecretsLookup(database);
  const authenticator = new Authenticator({
    ...{ findAccess, findSecret, passwords, limits, directories: directories?.signIn },
    tokens: new TokenVerifier(tokenSettings),
  });
  const tokens = new TokenService({ ...tokenSettings, findAccess, rules });
  const authorize = createAuthorize(findAccess, rules);
  const belongsTo = createBelongsTo(findAccess);
  const listVisible = createListVisible(database, findAccess);
  const users = new UsersStore(database, failpoint);
  const teams = new TeamsStore(database, failpoint);
  const grants = new GrantsStore(database, failpoint);
  const orgs = new OrgsStore(database, failpoint);
  const robots = new RobotsStore(database, failpoint);
  const personalTokens = new PersonalTokensStore(database);
  const userKeys = new UserKeysStore(database);
  const stores = { users, userKeys, orgs, teams, grants, robots, personalTokens, repositories };
  const gateDeps = { authenticator, rules, teams, challenge: { authChallenge, publicUrl, service } };
  const confirm = createConfirm(gateDeps, witness);
  const judgeRights = createJudgeRights(gateDeps);
  const operations = orgsOperationsOf({
    ...{ confirm, judgeRights, database },
    ...{ ...stores, passwords, listVisible, authorize, releaseTrust, keys },
    ...{ audit, auditStore, findAccess, rules, directories, now, origin: new URL(publicUrl).origin },
    findPersonOfKeyId: (keyId, org) => findPersonOfKeyId(database, { keyId, org }),
    reseal: async (confirmed) => {
      await database.transaction(confirmed);
      const count = (await tokenKeysStore.reseal()) + (await reseal());
      await forgetOldKeys(database, ring);
      return count;
    },
  });
  log.info("orgs.open", { service, anonymous: rules.anonymous });
  return {
    gate: createGate(gateDeps),
    authorize,
    confirm,
    confirmRights: createConfirmRights(gateDeps, witness),
    judgeRights,
    findTeams: findTeamsOfUser,
    record: (sql, deed) =>
      auditStore.insertWithin(sql, {
        ...deed,
        ...{ actorId: 0, outcome: "done", source: "", requestId: "", decisionId: undefined },
      }),
    readsAll: async ({ kind, id }) => {
      const user = kind === "user" ? await users.findById(id) : undefined;
      return user !== undefined && (user.systemAdmin || user.auditor);
    },
    catalog: async (actor, after, limit) => (await listVisible(actor, { after, limit })).map(({ name }) => name),
    listable: createListable(findAccess, rules),
    findPeopleOfKeys: (spkis, org) => findPeopleOfKeys(database, { spkis, org }),
    ...{ belongsTo, findUnknownTeams: createFindUnknownTeams(database, belongsTo) },
    maySign: createMaySign(findAccess, rules),
    recordFinding: (sql, finding) => auditStore.insertWithin(sql, toEntry(finding)),
    noteFinding: (request, finding) => audit.note(toEntry({ ...finding, at: now() }, request)),
    noteRefusal: (request, finding) => {
      const decisionId = newDecisionId();
      audit.note({ ...toEntry({ ...finding, at: now() }, request), outcome: "refused", decisionId });
      request.notes.decision = decisionId;
      return decisionId;
    },
    findPeopleWhoSign: (who) => findPeopleWhoSign(database, who),
    protocols: [
      tokenProtocol({
        ...{ service, rules, authenticator, findAccess, tokens, keys, refreshTokens },
        confirmSignIn: (request) => (sql) => witness.recordSignIn(sql, request),
      }),
      restProtocol([...operations, ...others], publicUrl),
    ],
    witness,
    close: async () => {
      await directories?.close();
      await closeAudit();
    },
  };
}

export const adminName = "admin";

/**
 * Makes the user `admin` where there is no system administrator yet (the first start). Returns the password if it had
 * to be generated: it can be shown only now.
 * @throws Error for a `password` that is no password, or an `admin` that is something else already
 */
export async function ensureAdmin(database: Database, password?: string): Promise<string | undefined> {
  const users = new UsersStore(database);
  if ((await users.countSystemAdmins()) > 0) return undefined;
  const checked = passwordSchema.safeParse(password ?? randomBytes(18).toString("base64url"));
  if (!checked.success) throw new Error(`GOLDSEAL_ADMIN_PASSWORD: ${checked.error.issues[0]?.message}`);
  const passwordHash = await new Passwords().hash(checked.data);
  try {
    await users.create({ name: adminName, passwordHash, systemAdmin: true });
  } catch (error) {
    if (error instanceof OrgsError && (await users.countSystemAdmins()) > 0) return undefined;
    throw error;
  }
  return password === undefined ? checked.data : undefined;
}
