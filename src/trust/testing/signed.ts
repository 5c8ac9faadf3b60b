import { certificateFor, Repository } from "../../notary/tuf/testing/repository.ts";
import { inCertificate } from "../../notary/tuf/testing/test-key.ts";
import type { alice } from "./signers.ts";
import { image, signedSet } from "./world.ts";

/** The image, signed in its own repository, and what is said when it is not. */
export const signed = (
  by: (typeof alice)[],
  says: Readonly<Record<string, typeof image>> = { "1.4": image },
  role = "targets/a",
) => signedSet({ roles: { [role]: { says, by } } });
export const NAME = "registry.example.com:5000/ops/app:1.4";
export const asks = (who: string, has = "nobody", command = NAME): string =>
  `${image.digest} must be signed by ${who}, and is by ${has}; one of them signs it with: goldseal trust sign ${command}`;

export function ownedBy(pair: typeof alice): Repository {
  const owner = new Repository({ gun: "registry.example.com:5000/ops/app" as never });
  owner.keys.targets = pair;
  return owner;
}

export function rootedBy(pair: typeof alice): Repository {
  const owner = new Repository({ gun: "registry.example.com:5000/ops/app" as never });
  owner.keys.root = inCertificate(pair, certificateFor(owner.gun));
  return owner;
}
