/** A policy document in which a test changes one thing. */
import { canonicalKeyId } from "../../notary/tuf/key.ts";
import type { Loose } from "../../notary/tuf/testing/loose.ts";
import { alice, bob, carol, spkiText } from "./signers.ts";

const idOf = ({ key }: typeof alice): string => canonicalKeyId(key);
export const [aliceId, bobId, carolId] = [idOf(alice), idOf(bob), idOf(carol)] as const;

export const plain = (): Loose => ({
  version: 7,
  expires: "2027-01-01T00:00:00Z",
  environments: {
    prod: {
      images: ["gold/**", "ops/*"],
      require: [
        { team: "qa", k: 1, class: "client-key", gun: "qa/{name}" },
        { team: "acme/ops", k: 2 },
        { k: 1, class: "either" },
      ],
      maxTimestampAge: "48h",
      operators: [aliceId],
      specLimits: { command: true, bindMounts: ["/srv/data"], capabilities: ["NET_ADMIN"], secrets: ["db"] },
      rights: { qa: "view", "acme/ops": "deploy" },
      placement: { require: ["node.labels.tier==prod"], inject: ["node.role != manager"], usernsOnly: true },
      onTrustLost: "replace",
      onUnmanaged: "remove",
    },
    test: { images: ["**"], require: [{ k: 1 }], operators: [], rights: {} },
  },
  teams: { qa: ["alice"], "acme/ops": ["alice", "bob", "dave"] },
  keys: {
    [aliceId]: { spki: spkiText(alice), user: "alice" },
    [bobId]: { spki: spkiText(bob), user: "bob" },
  },
});

export const bytesOf = (change: (document: Loose) => void = () => undefined): Buffer => {
  const document = plain();
  change(document);
  return Buffer.from(JSON.stringify(document));
};
export const prod = (...path: readonly (string | number)[]) => ["environments", "prod", ...path];
