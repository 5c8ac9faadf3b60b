/** A key of a member, added and proved as anybody does it who has no command line of ours. */
import { createHash, generateKeyPairSync, sign } from "node:crypto";
import { basic, type Wire } from "./wire.ts";

const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });

/** SHA-256 of its SubjectPublicKeyInfo, hex. */
const id = createHash("sha256")
  .update(publicKey.export({ format: "der", type: "spki" }))
  .digest("hex");

async function prove(wire: Wire, user: string, password: string): Promise<void> {
  const path = `/api/v1/users/${user}/keys`;
  const authorization = basic(user, password);
  const text = publicKey.export({ format: "pem", type: "spki" });
  await wire.must(201, "POST", path, { authorization, body: JSON.stringify({ name: "matrix", publicKey: text }) });
  const answer = await wire.must(201, "POST", `${path}/${id}/challenge`, { authorization });
  const { message }: { message: string } = JSON.parse(answer.body.toString());
  const signature = sign("sha256", Buffer.from(message), { key: privateKey, dsaEncoding: "ieee-p1363" });
  const body = JSON.stringify({ method: "ecdsa", signature: signature.toString("base64") });
  await wire.must(200, "PUT", `${path}/${id}/proof`, { authorization, body });
}

export const memberKey = { id, prove } as const;
