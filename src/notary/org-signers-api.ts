import { z } from "zod";
import { json, type Reply } from "../http/reply.ts";
import type { Request } from "../http/request.ts";
import { operation, type RestOperation } from "../http/rest-operation.ts";
import type { Access } from "../http/route.ts";
import type { NotaryDeps } from "./deps.ts";

const VIEW: Access = { kind: "org", right: "view", orUser: true };

const signersSchema = z.strictObject({
  signers: z.array(
    z.strictObject({
      role: z.enum(["targets/goldseal-auto", "targets/goldseal-promote"]).describe("the delegation that it signs"),
      keyId: z.string().describe("in TUF"),
      algorithm: z.literal("ecdsa"),
      publicKey: z.string().describe("PEM, for docker trust signer add --key"),
    }),
  ),
});

/** The server's own role keys. What they sign counts in a GUN whose owner delegates to them, as made by a server. */
export const orgSignersOperations = (deps: NotaryDeps): RestOperation[] => [
  operation(["org-signers", "GET", "/api/v1/orgs/<org>/signers", VIEW], {
    summary:
      "The public keys that this server signs tags of an organization or user with; made when they are first asked for.",
    answers: { 200: signersSchema },
    act: listSigners(deps),
  }),
];

/** @throws OciError NAME_UNKNOWN */
function listSigners({ signers, now }: NotaryDeps) {
  return async (request: Request): Promise<Reply> => {
    const all = await signers.list(request.param("org"), now());
    const wire = all.map(({ role, key }) => ({
      ...{ role, keyId: key.id, algorithm: key.type },
      publicKey: key.getMaterial().publicKey.export({ format: "pem", type: "spki" }),
    }));
    return json(200, { signers: wire });
  };
}
