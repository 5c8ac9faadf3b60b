import { type Key, spkiOf } from "../notary/tuf/key.ts";
import { signBytes, type TestKey } from "../notary/tuf/testing/test-key.ts";
import { type PossessionClaim, possessionMessage } from "../trust/possession.ts";
import type { useLab } from "./test-lab.ts";
import { type Answer, publicUrl } from "./test-server.ts";

export const pemOf = (pair: TestKey, role = ""): string =>
  String(pair.publicKey.export({ format: "pem", type: "spki" })).replace("KEY-----\n", `KEY-----\n${role}`);
export const idOf = ({ key }: { readonly key: Key }): string => String(spkiOf(key));
export const pathOf = (pair: TestKey, user = "ann"): string => `users/${user}/keys/${idOf(pair)}`;
export const codeOf = ({ status, body }: Answer) => [status, body?.code];

/** Adding keys to users of the lab, and proving them. */
export function keysOf({ rest, as }: Pick<ReturnType<typeof useLab>, "rest" | "as">) {
  function add(user: string, pair: TestKey, { name = "laptop", publicKey = pemOf(pair) } = {}, headers = as(user)) {
    return rest("POST", `users/${user}/keys`, { name, publicKey }, headers);
  }

  async function challenge(user: string, pair: TestKey): Promise<string> {
    const answer = await rest("POST", `${pathOf(pair, user)}/challenge`, undefined, as(user));
    if (answer.status !== 201) throw new Error(answer.text);
    return String(answer.body.challenge);
  }

  /** @param change what the signed claim says otherwise */
  async function sendProof(user: string, pair: TestKey, asked: string, change: Partial<PossessionClaim> = {}) {
    const claim = { server: publicUrl, user, spkiSha256: idOf(pair), challenge: asked, ...change };
    const signature = signBytes(pair.privateKey, pair.method, possessionMessage(claim)).toString("base64");
    return rest("PUT", `${pathOf(pair, user)}/proof`, { method: pair.method, signature }, as(user));
  }

  const prove = async (user: string, pair: TestKey) => sendProof(user, pair, await challenge(user, pair));

  async function addProved(user: string, pair: TestKey, name = idOf(pair).slice(0, 8)): Promise<void> {
    const statuses = [(await add(user, pair, { name })).status, (await prove(user, pair)).status];
    if (String(statuses) !== "201,200") throw new Error(`the key was not proved: ${statuses}`);
  }

  return { add, challenge, sendProof, prove, addProved };
}
