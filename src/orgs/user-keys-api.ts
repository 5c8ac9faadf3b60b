import { z } from "zod";
import { empty, json, type Reply } from "../http/reply.ts";
import type { Request } from "../http/request.ts";
import { bodyOperation, operation, type RestOperation } from "../http/rest-operation.ts";
import { pageQuery, pageSchema, replyPage } from "../http/rest-page.ts";
import type { Access } from "../http/route.ts";
import { VerificationError } from "../notary/tuf/error.ts";
import type { Key } from "../notary/tuf/key.ts";
import { parsePublicKeyFile } from "../notary/tuf/public-key-file.ts";
import { type PossessionClaim, possessionMessage, verifyPossession } from "../trust/possession.ts";
import { invalidRequest, notFound, OrgsError } from "./errors.ts";
import type { PersonOfKey } from "./people-of-keys.ts";
import { type ChangeDeps, changeOf, nameParam, nameSchema, replyWith, timeSchema } from "./rest-words.ts";
import type { KeyOfUser, UserKey, UserKeysStore } from "./user-keys-store.ts";
import { mustConcern } from "./users-api.ts";
import type { UsersStore } from "./users-store.ts";

export interface UserKeysApiDeps extends ChangeDeps {
  readonly users: UsersStore;
  readonly userKeys: UserKeysStore;
  /** Of a key that counts; `keyId` is a TUF key id or the SHA-256 of the SPKI. */
  readonly findPersonOfKeyId: (keyId: string, org: string) => Promise<PersonOfKey | undefined>;
  /** Of the public URL: proofs name it. */
  readonly origin: string;
  readonly now: () => Date;
}

const hexSchema = z.string().regex(/^[0-9a-f]{64}$/, "64 hex digits");
const keyNameSchema = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/, "a key's name is 1 to 64 letters, digits, and . _ @ - after the first");

const keySchema = z.strictObject({
  spkiSha256: hexSchema.describe("which key it is: SHA-256 of its DER SubjectPublicKeyInfo"),
  name: keyNameSchema,
  algorithm: z.enum(["ecdsa", "rsa", "ed25519"]),
  keyId: hexSchema.describe("the bare key's id in TUF; docker names the file of the private half by it"),
  keyIds: z.array(hexSchema).describe("ids in TUF of all forms it was added in: bare, and in certificates"),
  publicKey: z.string().describe("PEM"),
  state: z.enum(["unproven", "proved"]).describe("unproven: it counts for nobody"),
  addedAt: timeSchema,
  provedAt: timeSchema.nullable(),
});
const addBody = z.strictObject({
  name: keyNameSchema,
  publicKey: z
    .string()
    .max(16_384)
    .describe("PEM PUBLIC KEY as docker trust key generate writes it, PEM CERTIFICATE, or the JSON of a TUF key"),
});
const challengeSchema = z.strictObject({
  challenge: hexSchema,
  message: z.string().describe("what the private half has to sign, built of the server's URL, user, key and challenge"),
  expiresAt: timeSchema,
});
const proofBody = z.strictObject({
  method: z.enum(["ecdsa", "rsapss", "rsapkcs1v15", "eddsa"]).describe("as in TUF: ecdsa is raw r‖s, over SHA-256"),
  signature: z.base64().max(2048),
});
const personSchema = z.strictObject({
  user: nameSchema,
  teams: z.array(nameSchema).describe("of this organization"),
  spkiSha256: hexSchema,
  provedAt: timeSchema,
});

const USER: Access = { kind: "user" };
const VIEW: Access = { kind: "org", right: "view" };
const ALL = "/api/v1/users/<user>/keys";
const ONE = `${ALL}/<key>`;

/** The keys that people sign with. */
export const userKeysOperations = (deps: UserKeysApiDeps): RestOperation[] => [
  operation(["user-keys-list", "GET", ALL, USER], {
    summary: "Your keys; those of any user for system administrators and auditors.",
    query: pageQuery,
    answers: { 200: pageSchema("keys", keySchema) },
    act: listKeys(deps),
  }),
  operation(["user-key-get", "GET", ONE, USER], {
    summary: "One key.",
    answers: { 200: keySchema },
    act: async (request) => replyKey(deps, whichKey(request, await whoseKeys(deps, request, "read")), 200),
  }),
  bodyOperation(["user-key-add", "POST", ALL, USER], {
    summary: "Claim a key as yours, by password only. It counts once you have proved to hold its private half.",
    body: addBody,
    answers: { 200: keySchema, 201: keySchema },
    act: addKey(deps),
  }),
  operation(["user-key-challenge", "POST", `${ONE}/challenge`, USER], {
    summary:
      "Ask for what has to be signed to prove a key, by password only. Good for 5 minutes, once; the newest counts.",
    answers: { 201: challengeSchema },
    act: challengeKey(deps),
  }),
  bodyOperation(["user-key-prove", "PUT", `${ONE}/proof`, USER], {
    summary:
      "Prove to hold a key, by password only. From the first proof on the key is yours and nobody else's, for ever.",
    body: proofBody,
    answers: { 200: keySchema },
    act: proveKey(deps),
  }),
  operation(["user-key-delete", "DELETE", ONE, USER], {
    conditional: true,
    summary:
      "Remove a key: what it signed counts no longer. It stays reserved for you, who can add and prove it again.",
    answers: { 204: undefined },
    act: async (request) => {
      const userId = await whoseKeys(deps, request, "write");
      await deps.userKeys.remove(whichKey(request, userId), deps.now(), changeOf(deps, request));
      return empty(204);
    },
  }),
  operation(["org-key-get", "GET", "/api/v1/orgs/<org>/keys/<key>", VIEW], {
    summary: "Whose a key is, by its id in TUF or the SHA-256 of its SubjectPublicKeyInfo: a member who has proved it.",
    answers: { 200: personSchema },
    act: getPerson(deps),
  }),
];

function listKeys(deps: UserKeysApiDeps) {
  return async (request: Request): Promise<Reply> => {
    const userId = await whoseKeys(deps, request, "read");
    return replyPage(request, {
      name: "keys",
      keyOf: ({ name }) => name,
      toWire,
      read: (page) => deps.userKeys.list(userId, page),
    });
  };
}

/** @throws OrgsError not-found, forbidden, invalid-request, key-taken, name-taken, too-many-keys */
function addKey(deps: UserKeysApiDeps) {
  return async (request: Request, { name, publicKey }: z.infer<typeof addBody>): Promise<Reply> => {
    const userId = await mustBeSelf(deps, request);
    const key = readPublicKey(publicKey);

    const isNew = await deps.userKeys.add({ userId, name, key }, deps.now(), deps.confirm(request));

    const { spkiSha256 } = key.getMaterial();
    return replyKey(deps, { userId, spkiSha256 }, isNew ? 201 : 200);
  };
}

/** @throws OrgsError not-found, forbidden, key-taken */
function challengeKey(deps: UserKeysApiDeps) {
  return async (request: Request): Promise<Reply> => {
    const where = whichKey(request, await mustBeSelf(deps, request));

    const { challenge, expiresAt } = await deps.userKeys.challenge(where, deps.now(), deps.confirm(request));

    const message = possessionMessage(claimOf(deps, request, challenge)).toString();
    return json(201, { challenge, message, expiresAt: expiresAt.toISOString() }, { "Cache-Control": "no-store" });
  };
}

/** @throws OrgsError not-found, forbidden, invalid-request, no-challenge, bad-proof, key-taken */
function proveKey(deps: UserKeysApiDeps) {
  return async (request: Request, { method, signature }: z.infer<typeof proofBody>): Promise<Reply> => {
    const where = whichKey(request, await mustBeSelf(deps, request));
    const proof = { method, signature: Buffer.from(signature, "base64") };
    const verify = (key: Key, challenge: string) => verifyPossession(key, claimOf(deps, request, challenge), proof);

    await deps.userKeys.prove(where, verify, { now: deps.now(), confirm: deps.confirm(request) });

    return replyKey(deps, where, 200);
  };
}

/** To whoever sees the organization; of people who are no members it says nothing. @throws OrgsError not-found */
function getPerson({ findPersonOfKeyId }: UserKeysApiDeps) {
  return async (request: Request): Promise<Reply> => {
    const person = await findPersonOfKeyId(keyParam(request), nameParam(request, "org"));
    if (person?.role === undefined) throw notFound();
    const { user, teams, spkiSha256, provedAt } = person;
    return json(200, { user, teams, spkiSha256, provedAt: provedAt.toISOString() });
  };
}

async function replyKey({ userKeys }: UserKeysApiDeps, where: KeyOfUser, status: number): Promise<Reply> {
  const key = await userKeys.find(where);
  if (key === undefined) throw notFound();
  return replyWith(status, toWire(key), key.version);
}

/** Row id of the user in the path. @throws OrgsError not-found, forbidden for auditors who would change something */
async function whoseKeys(deps: UserKeysApiDeps, request: Request, what: "read" | "write"): Promise<number> {
  await mustConcern(deps, request, what);
  const user = await deps.users.find(nameParam(request, "user"));
  if (user === undefined) throw notFound();
  return user.id;
}

/**
 * A key speaks for its user wherever signatures are asked for, so it takes more than a token to make one count: who stole
 * that could go on signing after it is taken back. Nor does an administrator sign in somebody's name.
 * @throws OrgsError not-found, forbidden
 */
async function mustBeSelf(deps: UserKeysApiDeps, request: Request): Promise<number> {
  const self = await mustConcern(deps, request, "write");
  if (self.name !== request.param("user"))
    throw new OrgsError("forbidden", "only who holds a key can add and prove it");
  if (request.actor.credential !== undefined)
    throw new OrgsError("forbidden", "a token adds and proves no keys; sign in with your password");
  return self.id;
}

function whichKey(request: Request, userId: number): KeyOfUser {
  return { userId, spkiSha256: keyParam(request) };
}

/** @throws OrgsError not-found: nothing else is the id of a key */
function keyParam(request: Request): string {
  const parsed = hexSchema.safeParse(request.param("key"));
  if (!parsed.success) throw notFound();
  return parsed.data;
}

/** @throws OrgsError invalid-request that says what is wrong with it */
function readPublicKey(text: string): Key {
  try {
    return parsePublicKeyFile(text).key;
  } catch (cause) {
    if (cause instanceof VerificationError) throw invalidRequest(`publicKey: ${cause.message}`);
    throw cause;
  }
}

function claimOf({ origin }: UserKeysApiDeps, request: Request, challenge: string): PossessionClaim {
  return { server: origin, user: request.param("user"), spkiSha256: request.param("key"), challenge };
}

function toWire({ spkiSha256, name, key, keyIds, addedAt, provedAt }: UserKey) {
  return {
    spkiSha256,
    name,
    algorithm: key.type,
    keyId: key.id,
    keyIds,
    publicKey: key.getMaterial().publicKey.export({ format: "pem", type: "spki" }),
    state: provedAt === undefined ? "unproven" : "proved",
    addedAt: addedAt.toISOString(),
    provedAt: provedAt?.toISOString() ?? null,
  };
}
