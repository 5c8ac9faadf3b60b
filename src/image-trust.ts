/** The rooms that sign, judge and promote images, opened together: each asks the others, and all ask who may do what. */
import type { Ground } from "./ground.ts";
import type { RestOperation } from "./http/rest-operation.ts";
import type { SigningAlgorithm } from "./keys/signing-key.ts";
import type { People } from "./notary/deps.ts";
import { type Notary, openNotary } from "./notary/open-notary.ts";
import { authorityOf } from "./oci/gun.ts";
import { findDeployers } from "./orgs/deployers.ts";
import { notFound, OrgsError, preconditionFailed } from "./orgs/errors.ts";
import { findKeysOfUser } from "./orgs/keys-of-user.ts";
import type { Orgs } from "./orgs/open-orgs.ts";
import { findPeopleOfKeys, type PersonOfKey } from "./orgs/people-of-keys.ts";
import { findProvedKeys } from "./orgs/proved-keys.ts";
import { type OpenPromotion, openPromotion } from "./promotion/open-promotion.ts";
import type { Database, Sql } from "./storage/database.ts";
import { openDeploymentHistory } from "./storage/deployments.ts";
import { ManifestStore } from "./storage/manifest-store.ts";
import { bridgePolicyOperations } from "./verdicts/bridge-policy-api.ts";
import { BridgePolicyStore } from "./verdicts/bridge-policy-store.ts";
import { openVerdicts, type Verdicts } from "./verdicts/open-verdicts.ts";
import type { ImageVerdict } from "./verdicts/policy-verdict.ts";

export interface ImageTrust {
  readonly notary: Notary;
  readonly verdicts: Verdicts;
  readonly promotion: OpenPromotion;
  /** Signs and promotes as its rows come and go. */
  readonly manifests: ManifestStore;
  readonly operations: readonly RestOperation[];
}

export interface ImageTrustOptions {
  readonly publicUrl: string;
  /** Of the keys that the server makes for GUNs. */
  readonly algorithm: SigningAlgorithm;
  /** There once all rooms are open, before any request. */
  readonly orgs: () => Orgs;
}

export function openImageTrust(ground: Ground, { publicUrl, algorithm, orgs }: ImageTrustOptions): ImageTrust {
  const { database, blobs, ring, seeBytes, failpoint, log, now } = ground;
  const authority = authorityOf(publicUrl);
  const notary = openNotary({
    ...{ database, ring, failpoint, log, now },
    settings: { publicUrl, algorithm },
    confirm: (request) => orgs().confirm(request),
    refusal: (code, message) => new OrgsError(code, message),
    listable: (actor, names) => orgs().listable(actor, names),
    findPeople: (spkis, org) => findPeople(database, spkis, org),
    onSigned: (sql, digests) => promotion.onSigned(sql, digests),
  });
  const verdicts = openVerdicts({
    ...{ database, blobs, log, now, notFound, readTrust: notary.readTrust, authority },
    findPeople: (who) => orgs().findPeopleWhoSign(who),
    confirm: (request) => orgs().confirm(request),
    preconditionFailed,
    belongsTo: (actor, org) => orgs().belongsTo(actor, org),
    findUnknownTeams: (actor, teams) => orgs().findUnknownTeams(actor, teams),
    listable: (actor, names) => orgs().listable(actor, names),
    maySign: (actor, repository) => orgs().maySign(actor, repository),
    recordTurn: (sql, turn) => recordTurn({ sql, turn, at: now(), notary, orgs: orgs() }),
    recordWarning: (request, { policy, note, image }) =>
      orgs().noteFinding(request, {
        ...{ action: "policy-warning", target: image.repository },
        detail: { policy: policy.name, tag: image.tag ?? null, digest: image.digest, missing: [...note.missing] },
      }),
  });
  const promotion = openPromotion({
    ...{ database, seeBytes, failpoint, log, now, notFound, authority },
    preconditionFailed,
    authorize: (actor, name, action) => orgs().authorize(actor, name, action),
    listable: (actor, names) => orgs().listable(actor, names),
    confirm: (request) => orgs().confirm(request),
    confirmRights: (request, needed) => orgs().confirmRights(request, needed),
    judgeRights: (request, needed) => orgs().judgeRights(request, needed),
    record: (sql, deed) => orgs().record(sql, deed),
    findTeams: (sql, userId) => orgs().findTeams(sql, userId),
    findKeys: findKeysOfUser,
    refusalOf: (error) => (error instanceof OrgsError ? error.message : undefined),
    openSigner: notary.openPromoteSigner,
    history: [notary.signatureHistory, openDeploymentHistory(database, (list) => findDeployers(database, list))],
    findSigners: verdicts.findSigners,
    belongsTo: (actor, org) => orgs().belongsTo(actor, org),
    judgeGates: verdicts.judgePromotion,
    moveTags: (sql, move) => manifests.moveTags(sql, move),
    removeTag: (sql, repository, tag) => manifests.removeTag(sql, repository, tag),
    issueTarget: (sql, target) => notary.serverTargets.issue(sql, { ...target, purpose: "promote" }),
    withdrawTarget: (sql, target) => notary.serverTargets.withdraw(sql, { ...target, purpose: "promote" }),
  });
  const { onPush } = promotion;
  const manifests = new ManifestStore(database, { seeBytes, failpoint, tagSigner: notary.tagSigner, onPush });
  const policyOperations = bridgePolicyOperations({
    policies: new BridgePolicyStore(database),
    findProvedKeys: (which) => findProvedKeys(database, which),
    readsAll: (actor) => orgs().readsAll(actor),
    confirm: (request) => orgs().confirm(request),
    preconditionFailed,
    ...{ notFound, now },
  });
  return {
    ...{ notary, verdicts, promotion, manifests },
    operations: [notary, verdicts, promotion].flatMap(({ operations }) => operations).concat(policyOperations),
  };
}

interface TurnParts {
  readonly sql: Sql;
  readonly turn: ImageVerdict;
  readonly at: Date;
  readonly notary: Pick<Notary, "recordTurn">;
  readonly orgs: Pick<Orgs, "recordFinding">;
}

/** Into the audit, and into the history of the tag. */
async function recordTurn({ sql, turn, at, notary, orgs }: TurnParts): Promise<void> {
  const { image, policy, allowed, note } = turn;
  const { repository, repositoryId, digest, tag = "" } = image;
  await orgs.recordFinding(sql, {
    ...{ at, action: allowed ? "verdict-allowed" : "verdict-refused", target: repository },
    detail: { policy: policy.name, mode: policy.mode, tag, digest, missing: [...note.missing] },
  });
  const kind = allowed ? "allowed" : "refused";
  await notary.recordTurn(sql, { repositoryId, at, kind, tag, digest, policy: policy.name });
}

/** As `goldseal key who` answers: only of the organization's own people. */
async function findPeople(database: Database, spkis: readonly string[], org: string): Promise<People> {
  const found = await findPeopleOfKeys(database, { spkis, org });
  const own = [...found].filter(([, { user, role }]) => role !== undefined || user === org);
  const counts = ({ removedAt, suspended }: PersonOfKey): boolean => removedAt === undefined && !suspended;
  const teamsOf = ({ teams }: PersonOfKey): string[] => teams.map((team) => `${org}/${team}`);
  return new Map(own.map(([spki, one]) => [spki, { user: one.user, counts: counts(one), teams: teamsOf(one) }]));
}
