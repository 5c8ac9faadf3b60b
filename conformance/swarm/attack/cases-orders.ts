/** Orders that nobody gave: the registry, which relays them, makes its own. And what a stolen operator's key is good for. */
import { createHmac, sign } from "node:crypto";
import { makeKey, makeOrder, type SigningKey } from "../signing.ts";
import type { Case, Ordering, Refusal, Stage } from "./stage.ts";

interface OrderCase {
  readonly name: string;
  readonly ordering: (stage: Stage) => Ordering;
  readonly expected: (stage: Stage) => Refusal;
}

const says = (reason: string) => (): Refusal => [403, "order", reason];
const ALGORITHM = `the order does not hold: "alg" (Algorithm) Header Parameter value not allowed`;
const UNKNOWN = "the order is by a key that the policy does not know";

/** The order as its owner would make it, with another header, and signed by whom a case likes. */
function tampered(stage: Stage, header: object, signature: (message: string) => string): string {
  const text = stage.write("1");
  const [own = "", payload = ""] = makeOrder(text, stage.world.operator).split(".");
  const given = { ...JSON.parse(Buffer.from(own, "base64url").toString()), ...header };
  const message = `${Buffer.from(JSON.stringify(given)).toString("base64url")}.${payload}`;
  return `${message}.${signature(message)}`;
}

const ecdsaBy =
  ({ privateKey }: SigningKey) =>
  (message: string): string =>
    sign("sha256", Buffer.from(message), { key: privateKey, dsaEncoding: "ieee-p1363" }).toString("base64url");

const ORDER_CASES: readonly OrderCase[] = [
  { name: "by a stranger's key", ordering: () => ({ by: makeKey() }), expected: says(UNKNOWN) },
  {
    name: "by a key of the policy that is no operator's",
    ordering: ({ world }) => ({ by: world.officer }),
    expected: says("this key of otto is none of the operators of prod"),
  },
  {
    name: "by an operator who may only look",
    ordering: ({ world }) => ({ by: world.onlooker }),
    expected: says("gus is in no team that may deploy in prod"),
  },
  {
    name: "for another specification",
    ordering: () => ({ signedSpec: "{}" }),
    expected: says("the order is for another specification"),
  },
  {
    name: "for another environment",
    ordering: () => ({ environment: "two", at: "prod" }),
    expected: says("the order is for two"),
  },
  {
    name: "for something else",
    ordering: () => ({ action: "service.remove" }),
    expected: says("the order is for service.remove"),
  },
  { name: "that has expired", ordering: () => ({ lifeSeconds: -1 }), expected: says("the order has expired") },
  {
    name: "that is good for ever",
    ordering: () => ({ lifeSeconds: 86_400 }),
    expected: says("an order is good for five minutes at most"),
  },
  {
    name: "that is signed by nobody (alg none)",
    ordering: (stage) => ({ order: tampered(stage, { alg: "none" }, () => "") }),
    expected: says(ALGORITHM),
  },
  {
    name: "signed with the operator's public key (HS256)",
    ordering: (stage) => ({
      order: tampered(stage, { alg: "HS256" }, (message) =>
        createHmac("sha256", Buffer.from(stage.world.operator.spki, "base64")).update(message).digest("base64url"),
      ),
    }),
    expected: says(ALGORITHM),
  },
  {
    name: "that brings its own key along (jwk)",
    ordering: (stage) => {
      const own = makeKey();
      const jwk = { kty: "EC", crv: "P-256", ...own.privateKey.export({ format: "jwk" }), d: undefined };
      return { order: tampered(stage, { jwk }, ecdsaBy(own)) };
    },
    expected: says("the order does not hold: signature verification failed"),
  },
  {
    name: "that is a token of another kind",
    ordering: (stage) => ({ order: tampered(stage, { typ: "JWT" }, ecdsaBy(stage.world.operator)) }),
    expected: says("an order has the typ goldseal-order+jws"),
  },
];

const REPLAYED: Case = {
  name: "an order forged: one that was carried out before",
  run: async (stage) => {
    const image = await stage.push("good", "1");
    await stage.found({ ann: { 1: image } });
    const text = stage.write("1");
    const order = makeOrder(text, stage.world.operator);
    await stage.mustDeploy("1", image, { order });
    await stage.mustRefuse("1", [403, "order", "this order was carried out before"], { order });
  },
};

const limits = (what: string): Refusal => [403, "spec", `prod does not let a service have ${what} (specLimits)`];

const NO_PATH: Refusal = [
  ...([403, "spec"] as const),
  "mounts.0.source: an absolute path, without ., .., templates ({{ or }}) and control characters",
];

type SpecCase = readonly [name: string, spec: object, Refusal];
const SPEC_CASES: readonly SpecCase[] = [
  ["another command", { command: ["sh", "-c", "evil"] }, limits("a command of its own")],
  ["another entrypoint", { entrypoint: ["sh"] }, limits("an entrypoint of its own")],
  ["another user", { user: "0:0" }, limits("a user of its own")],
  ["a mount of /", { mounts: [{ type: "bind", source: "/", target: "/host" }] }, limits("the node's /")],
  [
    "the engine's socket",
    { mounts: [{ type: "bind", source: "/var/run/docker.sock", target: "/s" }] },
    limits("the node's /var/run/docker.sock"),
  ],
  ...[
    ["whose end is a template, which the node expands", '/srv/data/{{"../.."}}'],
    ["that climbs after a line break", "/srv/data/\n/../../../etc"],
  ].map(([how, source]): SpecCase => {
    const spec = { mounts: [{ type: "bind", source, target: "/host" }] };
    return [`a folder below an allowed one ${how}`, spec, NO_PATH];
  }),
  ["the host's network", { networks: ["host"] }, limits("the node's network")],
  ["every capability", { capabilities: { add: ["ALL"] } }, limits("the capability ALL")],
  ["a capability", { capabilities: { add: ["SYS_ADMIN"] } }, limits("the capability SYS_ADMIN")],
  ["a secret", { secrets: [{ source: "tls-key" }] }, limits("the secret tls-key")],
  [
    "a health check, which is a command",
    { health: { test: ["CMD", "evil"], interval: "1s", timeout: "1s", retries: 1 } },
    limits("a health check of its own"),
  ],
  ["privileges", { Privileges: {} }, [403, "spec", 'the service: Unrecognized key: "Privileges"']],
  [
    "several things at once",
    { command: ["x"], networks: ["host"] },
    limits("a command of its own, the node's network"),
  ],
];

export const ORDERS: readonly Case[] = [
  ...ORDER_CASES.map(({ name, ordering, expected }) => ({
    name: `an order forged: ${name}`,
    isStanding: true,
    run: async (stage: Stage) => {
      await stage.seen();
      await stage.mustRefuse("1", expected(stage), ordering(stage));
    },
  })),
  REPLAYED,
  ...SPEC_CASES.map(([name, spec, expected]) => ({
    name: `a signed image, ordered with a stolen key, with ${name}`,
    isStanding: true,
    run: async (stage: Stage) => {
      await stage.seen();
      await stage.mustRefuse("1", expected, { spec });
    },
  })),
];
