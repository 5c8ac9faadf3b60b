/** The operations of REST on one repository; who may do those that concern none is in rest-rows.ts. */
import type { Operation, PlainName, Step } from "./operations.ts";
import type { Ask } from "./wire.ts";
import { restPath, SPARE_TEAM, shortName } from "./world.ts";

const REST = {
  ...({ kind: "rest", token: "push", isRead: false, changes: true } as const),
  ...{ sources: [], needsUpload: false, needsTrust: false },
} as const;

const json = (value: unknown): Ask => ({ body: JSON.stringify(value) });

const accessList: Operation = {
  ...REST,
  routes: ["repository-grants", "grant-put", "grant-delete"],
  steps: ({ name }) => {
    const [org] = name.split("/");
    const grant = `/api/v1/orgs/${org}/teams/${SPARE_TEAM}/grants/${encodeURIComponent(shortName(name))}`;
    return [
      { sent: ["GET", `${restPath(name)}/grants`], ok: 200 },
      { sent: ["PUT", grant, json({ level: "read-only" })], ok: 201 },
      { sent: ["DELETE", grant], ok: 204 },
    ];
  },
};

/** Robots that each reach one repository of the matrix; made with the world. */
export const keeperOf = (name: string): string => `keep-${shortName(name)}`;

const robots: Operation = {
  ...REST,
  changes: false,
  routes: ["robot-put", "robot-rotate", "robot-delete"],
  steps: ({ name, mark, exists, allowed }) => {
    const [org] = name.split("/");
    const body = json({ grants: [{ scope: shortName(name), actions: ["pull"] }] });
    // Where it may make none there is only somebody else's to try.
    const path = `/api/v1/orgs/${org}/robots/${allowed ? mark : keeperOf(name)}`;
    const make: Step = { sent: ["PUT", `/api/v1/orgs/${org}/robots/${mark}`, body], ok: 201 };
    if (!allowed && !exists) return [make];
    return [
      make,
      { sent: ["PUT", path, body], ok: 200 },
      { sent: ["POST", `${path}/rotate`, json({})], ok: 201 },
      { sent: ["DELETE", path], ok: 204 },
    ];
  },
};

const repository: Operation = {
  ...REST,
  routes: [
    ...["repository-put", "trust-keys-rotate", "auto-sign-put", "auto-sign-delete", "trust-root-put"],
    ...["repository-rename", "repository-delete"],
  ],
  steps: ({ name, mark, exists, allowed }) => {
    const renamed = `${name.split("/")[0]}/${mark}`;
    return [
      {
        sent: ["PUT", restPath(name), json({ visibility: "public" })],
        ok: exists ? 200 : 201,
        kept: [409, "name-reserved"],
      },
      { sent: ["POST", `${restPath(name)}/trust-keys/rotate`], ok: 200, kept: [404, "not-found"] },
      { sent: ["PUT", `${restPath(name)}/auto-sign/rule`, json({ tags: ["*"] })], ok: 201, kept: [404, "not-found"] },
      { sent: ["DELETE", `${restPath(name)}/auto-sign/rule`], ok: 204, kept: [404, "not-found"] },
      {
        sent: ["PUT", `${restPath(name)}/trust/root`, json({ root: "AAAA", targets: "AAAA" })],
        ...{ ok: 400, code: "invalid-request", kept: [404, "not-found"] },
      },
      { sent: ["POST", `${restPath(name)}/rename`, json({ name: renamed })], ok: 200, kept: [404, "not-found"] },
      { sent: ["DELETE", restPath(allowed ? renamed : name)], ok: 204, kept: [404, "not-found"] },
    ];
  },
};

const tagStates: Operation = {
  ...REST,
  ...{ isRead: true, changes: false },
  routes: ["tags-list", "tag-trust", "trust-history", "verdicts-get", "auto-sign-list", "auto-sign-get", "trust-root"],
  steps: ({ name, trust }) => [
    ...["tags", "tags/v1/trust", "trust/history", "verdicts?tag=v1", "auto-sign"].map(
      (path): Step => ({
        sent: ["GET", `${restPath(name)}/${path}`],
        ok: 200,
      }),
    ),
    { sent: ["GET", `${restPath(name)}/auto-sign/none`], ok: 404, code: "not-found" },
    {
      sent: ["GET", `${restPath(name)}/trust/root`],
      ...(trust.isPublished ? { ok: 200 } : { ok: 404, code: "not-found" }),
    },
  ],
};

const immutableTags = (isRead: boolean): Operation => ({
  ...REST,
  ...{ isRead, changes: !isRead },
  routes: [isRead ? "immutable-tags-get" : "immutable-tags-put"],
  steps: ({ name }) => {
    const path = `${restPath(name)}/immutable-tags`;
    return [{ sent: isRead ? ["GET", path] : ["PUT", path, json({ patterns: ["gold*"] })], ok: 200 }];
  },
});

/** Within one repository: both sides ask for the same rights. Across two: src/promotion. */
const promotion: Operation = {
  ...REST,
  routes: ["promotion-ask"],
  steps: ({ name }) => [
    { sent: ["POST", "/api/v1/promotions", json({ source: `${name}:v1`, destination: `${name}:promoted` })], ok: 201 },
  ],
};

const promotionPolicies: Operation = {
  ...REST,
  routes: ["promotion-policies-list", "promotion-policy-get", "promotion-policy-put", "promotion-policy-delete"],
  steps: ({ name }) => {
    const policies = `${restPath(name)}/promotion-policies`;
    return [
      { sent: ["PUT", `${policies}/next`, json({ targetRepository: name, tagTemplate: "%n-next" })], ok: 201 },
      { sent: ["GET", `${policies}/next`], ok: 200 },
      { sent: ["GET", policies], ok: 200 },
      { sent: ["DELETE", `${policies}/next`], ok: 204 },
    ];
  },
};

const promotionOffers: Operation = {
  ...REST,
  changes: false,
  routes: ["promotion-offers-list", "promotion-offer-accept", "promotion-offer-refuse"],
  steps: ({ name }) => {
    const offers = `${restPath(name)}/promotion-offers`;
    const none = { ok: 404, code: "not-found" };
    return [
      { sent: ["GET", offers], ok: 200 },
      { sent: ["PUT", `${offers}/999999999/acceptance`, json({ version: "1" })], ...none },
      { sent: ["DELETE", `${offers}/999999999/acceptance`], ...none },
    ];
  },
};

export const REST_OPERATIONS = {
  "access list": accessList,
  robots,
  repository,
  "tag states": tagStates,
  "immutable tags": immutableTags(true),
  "immutable tags PUT": immutableTags(false),
  promotion,
  "promotion policies": promotionPolicies,
  "promotion offers": promotionOffers,
} satisfies Partial<Readonly<Record<PlainName, Operation>>>;
