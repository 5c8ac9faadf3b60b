import { z } from "zod";
import { empty, json, type Reply } from "../http/reply.ts";
import type { Request } from "../http/request.ts";
import { bodyOperation, operation, type RestOperation } from "../http/rest-operation.ts";
import { pageQuery, pageSchema, replyPage } from "../http/rest-page.ts";
import type { Access } from "../http/route.ts";
import { OrgsError } from "./errors.ts";
import type { PersonalToken, PersonalTokensStore } from "./personal-tokens-store.ts";
import { type ChangeDeps, futureTimeSchema, nameParam, nameSchema, timeSchema } from "./rest-words.ts";

export interface PersonalTokensApiDeps extends ChangeDeps {
  readonly personalTokens: PersonalTokensStore;
}

const tokenSchema = z.strictObject({
  name: nameSchema,
  createdAt: timeSchema,
  expiresAt: timeSchema.nullable(),
  lastUsedAt: timeSchema.nullable().describe("to the minute"),
});
const newTokenSchema = z.strictObject({ ...tokenSchema.shape, secret: z.string().describe("shown this once") });
const tokenBody = z.strictObject({ name: nameSchema, expiresAt: futureTimeSchema.optional() });

const USER: Access = { kind: "user" };

/** Tokens that stand for oneself: a password for docker login, a bearer token for REST. */
export const personalTokensOperations = (deps: PersonalTokensApiDeps): RestOperation[] => [
  operation(["tokens-list", "GET", "/api/v1/tokens", USER], {
    summary: "Your personal tokens.",
    query: pageQuery,
    answers: { 200: pageSchema("tokens", tokenSchema) },
    act: async (request) =>
      replyPage(request, {
        name: "tokens",
        keyOf: ({ name }) => name,
        toWire,
        read: (page) => deps.personalTokens.list(userId(request), page),
      }),
  }),
  bodyOperation(["token-create", "POST", "/api/v1/tokens", USER], {
    summary: "Make a personal token; by password only. The secret is shown once.",
    body: tokenBody,
    answers: { 201: newTokenSchema },
    act: createToken(deps),
  }),
  operation(["token-delete", "DELETE", "/api/v1/tokens/<token>", USER], {
    summary: "End a personal token, and whatever was got for it.",
    answers: { 204: undefined },
    act: async (request) => {
      await deps.personalTokens.delete(userId(request), nameParam(request, "token"), deps.confirm(request));
      return empty(204);
    },
  }),
];

/** A stolen token must not make others that outlive it. @throws OrgsError forbidden, name-taken */
function createToken({ personalTokens, confirm }: PersonalTokensApiDeps) {
  return async (request: Request, { name, expiresAt }: z.infer<typeof tokenBody>): Promise<Reply> => {
    const id = userId(request);
    if (request.actor.credential !== undefined)
      throw new OrgsError("forbidden", "a token makes no tokens; sign in with your password");
    const until = expiresAt === undefined ? undefined : new Date(expiresAt);
    const made = await personalTokens.create({ userId: id, name, expiresAt: until }, confirm(request));
    return json(201, { ...toWire(made), secret: made.secret }, { "Cache-Control": "no-store" });
  };
}

/** @throws OrgsError forbidden for robots */
function userId({ actor }: Request): number {
  if (actor.kind === "user") return actor.id;
  throw new OrgsError("forbidden", "robots have no personal tokens");
}

function toWire({ name, createdAt, expiresAt, lastUsedAt }: PersonalToken) {
  return {
    name,
    createdAt: createdAt.toISOString(),
    expiresAt: expiresAt?.toISOString() ?? null,
    lastUsedAt: lastUsedAt?.toISOString() ?? null,
  };
}
