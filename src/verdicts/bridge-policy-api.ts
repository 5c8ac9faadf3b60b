import { z } from "zod";
import { etagOf, preconditionOf } from "../http/precondition.ts";
import { bytes, json, type Reply } from "../http/reply.ts";
import type { Request } from "../http/request.ts";
import { bytesOperation, operation, type RestOperation, readQuery } from "../http/rest-operation.ts";
import type { Access } from "../http/route.ts";
import type { Actor } from "../oci/access.ts";
import type { Confirm } from "../storage/database.ts";
import { envelopeSchema } from "../trust/dsse.ts";
import {
  type AccountKey,
  findPolicySigners,
  type HandedPolicy,
  keysToLookUp,
  mustBeCurrent,
  type PolicySigner,
  readHandedPolicy,
} from "./bridge-policy.ts";
import type { BridgePolicy, BridgePolicyStore } from "./bridge-policy-store.ts";

export interface BridgePolicyDeps {
  readonly policies: BridgePolicyStore;
  readonly findProvedKeys: (which: ReturnType<typeof keysToLookUp>) => Promise<readonly AccountKey[]>;
  /** Whether who asks may read everything: a system administrator or an auditor. */
  readonly readsAll: (actor: Actor) => Promise<boolean>;
  readonly confirm: (request: Request) => Confirm;
  /** The protocol's. */
  readonly notFound: () => Error;
  readonly preconditionFailed: (message: string) => Error;
  readonly now: () => Date;
}

const USER: Access = { kind: "user" };
const SYSTEM_ADMIN: Access = { kind: "system-admin" };
const AUDITOR: Access = { kind: "auditor" };
const POLICY = "/api/v1/policies/bridge";
const VERSIONS = `${POLICY}/versions`;
/** As the table has it. */
const maxPolicyBytes = 1024 * 1024;

const policySchema = z.strictObject({
  version: z.int(),
  expires: z.iso.datetime(),
  sha256: z.string().describe("hex, over the document, which is the envelope's payload"),
  signers: z.array(z.strictObject({ keyId: z.string(), user: z.string() })),
  putBy: z.string(),
  putAt: z.iso.datetime(),
});
const pageQuery = z.object({
  after: z.coerce.number().int().min(1).optional().describe("the last version of the page before"),
  limit: z.coerce.number().int().min(1).max(1000).default(100),
});

/** The policy document goldseal.policy/v1, which bridges fetch here and trust only by the keys that they pin themselves. */
export const bridgePolicyOperations = (deps: BridgePolicyDeps): RestOperation[] => [
  operation(["bridge-policy-get", "GET", POLICY, USER], {
    summary:
      "The newest signed policy document, byte for byte: for whom it names, for auditors and for system administrators.",
    answers: { 200: envelopeSchema },
    act: getPolicy(deps),
  }),
  bytesOperation(["bridge-policy-put", "PUT", POLICY, SYSTEM_ADMIN], {
    conditional: true,
    summary:
      "Hand in a newer policy document, signed. Whether the right people signed it is for each bridge to say, by its pinned keys.",
    body: envelopeSchema,
    maxBytes: maxPolicyBytes,
    answers: { 200: policySchema, 201: policySchema },
    act: putPolicy(deps),
  }),
  operation(["bridge-policy-versions", "GET", VERSIONS, AUDITOR], {
    summary: "All versions, newest first.",
    query: pageQuery,
    answers: { 200: z.strictObject({ versions: z.array(policySchema), next: z.string().optional() }) },
    act: listVersions(deps),
  }),
  operation(["bridge-policy-version", "GET", `${VERSIONS}/<version>`, AUDITOR], {
    summary: "One version, byte for byte, with all its signatures.",
    answers: { 200: envelopeSchema },
    act: getVersion(deps),
  }),
];

/** To others it does not exist: it names teams of organizations that are hidden from them. */
function getPolicy({ policies, readsAll, notFound }: BridgePolicyDeps) {
  return async ({ actor }: Request): Promise<Reply> => {
    const named = actor.kind === "user" ? await policies.findNaming(actor.name) : undefined;
    const policy = named ?? ((await readsAll(actor)) ? await policies.find() : undefined);
    if (policy === undefined) throw notFound();
    return asReceived(policy);
  };
}

/** @throws ProblemError policy-malformed, policy-inconsistent, policy-signature, policy-expired, policy-version */
function putPolicy({ policies, findProvedKeys, confirm, preconditionFailed, now }: BridgePolicyDeps) {
  return async (request: Request, body: Buffer): Promise<Reply> => {
    const check = preconditionOf(request, preconditionFailed);
    const handed = readHandedPolicy(body);
    const signers = findPolicySigners(handed, await findProvedKeys(keysToLookUp(handed)));
    const at = now();
    mustBeCurrent(handed, at);
    request.asked = { asked: toRecord(handed, signers) };

    const change = { check, confirm: confirm(request) };
    const isNew = await policies.put(handed, signers, { by: request.actor.name, at }, change);

    const stored = await policies.findVersion(handed.document.version);
    if (stored === undefined) throw new Error("a policy that was stored is gone, though none is ever deleted");
    return json(isNew ? 201 : 200, toWire(stored), { ETag: etagOf(stored.envelopeSha256.toString("hex")) });
  };
}

function listVersions({ policies }: BridgePolicyDeps) {
  return async (request: Request): Promise<Reply> => {
    const { after = Number.MAX_SAFE_INTEGER, limit } = readQuery(request, pageQuery);
    const found = await policies.page(after, limit + 1);
    const shown = found.slice(0, limit);
    const last = shown.at(-1);
    const wire = { versions: shown.map(toWire) };
    if (last === undefined || found.length <= limit) return json(200, wire);
    const next = `${request.path}?${new URLSearchParams({ after: String(last.version), limit: String(limit) })}`;
    return json(200, { ...wire, next }, { Link: `<${next}>; rel="next"` });
  };
}

function getVersion({ policies, notFound }: BridgePolicyDeps) {
  return async (request: Request): Promise<Reply> => {
    const text = request.param("version");
    const policy = /^[1-9]\d{0,14}$/.test(text) ? await policies.findVersion(Number(text)) : undefined;
    if (policy === undefined) throw notFound();
    return asReceived(policy);
  };
}

function asReceived(policy: BridgePolicy): Reply {
  return bytes(200, "application/json", policy.bytes, { ETag: etagOf(policy.envelopeSha256.toString("hex")) });
}

function toRecord({ document, payloadSha256 }: HandedPolicy, signers: readonly PolicySigner[]) {
  const { version, expiresAt } = document;
  const by = signers.map(({ keyId, user }) => ({ keyId, user }));
  return { version, expires: expiresAt.toISOString(), sha256: payloadSha256.toString("hex"), signers: by };
}

function toWire({ version, expiresAt, payloadSha256, signers, putBy, putAt }: Omit<BridgePolicy, "bytes">) {
  return {
    version,
    expires: expiresAt.toISOString(),
    sha256: payloadSha256.toString("hex"),
    signers,
    putBy,
    putAt: putAt.toISOString(),
  };
}
