/**
 * Every route that the product serves, as data. This is the one file of the suites that imports the product, beside what is
 * sent over HTTP: openapi.json knows nothing of `/v2/`, and a list written here by hand would never hear of a new route.
 * Nothing of it runs: tables are functions of what their handlers need, and no handler is called. That the app mounts these
 * tables and no other is tested in src/routes.test.ts.
 */
import { operationsProtocol } from "../../src/http/operations.ts";
import { autoSignOperations } from "../../src/notary/auto-sign-api.ts";
import { orgSignersOperations } from "../../src/notary/org-signers-api.ts";
import { rootOperations } from "../../src/notary/root-api.ts";
import { notaryProtocol } from "../../src/notary/routes.ts";
import { serverKeysOperations } from "../../src/notary/server-keys-api.ts";
import { signaturesOperations } from "../../src/notary/signatures-api.ts";
import { tagTrustOperations } from "../../src/notary/tag-trust-api.ts";
import { orgsOperationsOf, restProtocol, tokenProtocol } from "../../src/orgs/routes.ts";
import { promotionOperations } from "../../src/promotion/routes.ts";
import { fsckOperations } from "../../src/registry/fsck-api.ts";
import { gcOperations } from "../../src/registry/gc-api.ts";
import { registryProtocol } from "../../src/registry/routes.ts";
import { scrubOperations } from "../../src/registry/scrub-api.ts";
import { relayOperations } from "../../src/relay/routes.ts";
import { bridgePolicyOperations } from "../../src/verdicts/bridge-policy-api.ts";
import { policiesOperations } from "../../src/verdicts/policies-api.ts";
import { simulateOperations } from "../../src/verdicts/simulate-api.ts";
import { verdictsOperations } from "../../src/verdicts/verdicts-api.ts";

export interface TableRow {
  readonly id: string;
  readonly method: string;
  readonly path: string;
  /** What the route asks for: an access kind, and the right where there is one. Undefined: it declares nothing. */
  readonly access: { readonly kind: string; readonly action?: string; readonly right?: string } | undefined;
}

/** Tables ask their handlers' dependencies for nothing until a request comes. */
const nothing = {} as never;

export function readRouteTable(): TableRow[] {
  const tables = [
    ...[orgsOperationsOf, gcOperations, fsckOperations, scrubOperations],
    ...[serverKeysOperations, orgSignersOperations, tagTrustOperations, signaturesOperations],
    ...[policiesOperations, simulateOperations, verdictsOperations],
    promotionOperations,
    ...[autoSignOperations, rootOperations],
    ...[bridgePolicyOperations, relayOperations],
  ];
  const operations = tables.flatMap((table) => table(nothing));
  const protocols = [
    notaryProtocol(nothing),
    registryProtocol(nothing),
    restProtocol(operations, ""),
    tokenProtocol(nothing),
    operationsProtocol(nothing),
  ];
  return protocols.flatMap(({ routes }) =>
    routes.map(({ id, method, path, access }) => ({ id, method, path, access })),
  );
}

/** Kinds that ask for a right on what the path names. */
const ASKS: Readonly<Record<string, readonly string[]>> = {
  "<name>": ["repository"],
  "<gun>": ["trust"],
  "<repo>": ["org-repository", "grant", "org"],
  "<org>": ["org-repository", "grant", "org", "org-admin", "team", "system-admin"],
};
/** The handler decides, row by row, what is shown. */
const FILTERED = ["repositories-list"];

/** What is wrong with a table: routes that name a repository or an organization, and ask for no right on it. */
export function findUndeclared(table: readonly TableRow[]): string[] {
  return table
    .filter(({ id, path, access }) => {
      if (access === undefined) return true;
      const [, kinds] = Object.entries(ASKS).find(([parameter]) => path.includes(parameter)) ?? [];
      if (kinds === undefined) return false;
      const asksRepository = ["repository", "org-repository", "trust"].includes(access.kind);
      return !(kinds.includes(access.kind) && (!asksRepository || Boolean(access.action))) && !FILTERED.includes(id);
    })
    .map(({ id, method, path }) => `${id}: ${method} ${path}`);
}
