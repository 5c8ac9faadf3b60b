/** A signature that ends soon, which no client makes: signed here, by a key that quinn has proved. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Collection } from "../notary/collection.ts";
import { ecdsa, idOf, keyOf, type Loose } from "../notary/tuf-files.ts";
import type { Pushed } from "./images.ts";
import { addKey } from "./keys.ts";
import type { Stage } from "./tamper.ts";

/** Signs the image as tag `1`, for so long. */
export async function shortLived({ quinn, repository, world }: Stage, image: Pushed, seconds: number): Promise<void> {
  const signer = ecdsa();
  const name = `short-${repository.replace("/", "-")}`;
  writeFileSync(join(quinn.home, `${name}.pem`), signer.privateKey.export({ format: "pem", type: "pkcs8" }));
  await addKey(quinn, `${name}.pem`);

  const [org = "", repo = ""] = repository.split("/");
  const collection = await Collection.open({ client: quinn.direct, prefix: `${world.server.host}/${org}` }, repo);
  const role = { name: "targets/quinn", keyids: [idOf(signer)], paths: [""], threshold: 1 };
  const delegate = (signed: Loose): void => {
    signed.delegations = { keys: { [idOf(signer)]: keyOf(signer) }, roles: [role] };
  };
  const entry = (signed: Loose): void => {
    const sha256 = Buffer.from(image.digest.slice("sha256:".length), "hex").toString("base64");
    signed.targets = { 1: { hashes: { sha256 }, length: image.size } };
    signed.expires = new Date(Date.now() + seconds * 1000).toISOString();
  };
  const parts = [
    collection.rootPart(),
    collection.targetsPart(1, delegate),
    collection.rolePart(role.name, 1, entry, [signer]),
  ];
  const { status, body } = await collection.push(parts);
  if (status !== 200) throw new Error(`the trust data was answered ${status}: ${body}`);
}
