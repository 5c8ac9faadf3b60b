/** Requests to the token service and the REST API. */
import fc from "fast-check";
import { formBody, type Late, restBody } from "./bodies.ts";
import { anyQuery, type Header, hostile, late, query, seldom, weighted } from "./parts.ts";
import type { World } from "./world.ts";

/** A request without what all have in common. */
export interface Shape {
  readonly method: string;
  readonly target: (world: World) => string;
  readonly headers?: readonly Header[];
  readonly body?: (world: World) => Buffer;
}

const SCOPES = [
  "repository:alice/app:pull,push",
  "repository:host:5000/alice/app:*",
  "registry:catalog:*",
  "repository::",
  "::",
  "repository:a/*:pull",
  "x".repeat(1_500),
  "repository:alice/app:pull repository:bob/app:push",
];
/** Of the token service. */
export const tokens: fc.Arbitrary<Shape> = fc
  .tuple(
    fc.constantFrom("/token", "/token", "/token", "/token/jwks.json", "/token/", "/tokenx"),
    fc.array(fc.oneof(fc.constantFrom(...SCOPES).map(encodeURI), hostile), { maxLength: 3 }),
    seldom(anyQuery, 4),
    seldom(formBody, 3),
  )
  .map(([path, scopes, more, form]) => {
    const target = () => path + query([...scopes.map((scope) => `scope=${scope}`), more ?? ""]);
    if (form === undefined) return { method: "GET", target };
    return {
      method: "POST",
      target: () => path,
      headers: [["Content-Type", "application/x-www-form-urlencoded"] as const],
      body: form,
    };
  });

/** Of the REST API. */
export const restPath: Late<string> = weighted<(world: World) => string>(
  [
    2,
    late(
      fc.constantFrom(
        "/api/v1/users",
        "/api/v1/users/alice",
        "/api/v1/users/nobody",
        "/api/v1/users/alice/keys?after=%00",
        `/api/v1/users/alice/keys/${"0".repeat(64)}/proof`,
        "/api/v1/openapi.json",
        "/api/v1/",
      ),
    ),
  ],
  [
    3,
    fc
      .tuple(
        fc.constantFrom("alice", "bob", "public", "no"),
        fc.constantFrom("app", "base", "deep%2Fer%2Fname", "new", "a%2f..%2fb"),
        fc.constantFrom(
          ...["", "", "", "/tags", "/tags?after=%00", "/tags?after=%ff&limit=0", "/tags/v1/trust", "/tags/%00/trust"],
          ...["/trust/history", "/trust/history?after=-1", "/trust/history?tag=%00", "/trust/history?after=9e9"],
          ...["/verdicts", "/verdicts?tag=v1", "/verdicts?tag=%00", "/verdicts?digest=sha256:1&policy=%ff"],
        ),
      )
      .map(
        ([org, name, rest]) =>
          () =>
            `/api/v1/orgs/${org}/repositories/${name}${rest}`,
      ),
  ],
  [
    4,
    fc
      .tuple(
        fc.constantFrom("public", "alice", "no", "public%00"),
        fc.constantFrom(
          ...["members", "members/alice", "teams", "teams/dev", "teams/dev/members/bob", "teams/dev/grants"],
          ...["teams/dev/grants/*", "teams/dev/grants/base", "teams/dev/grants/a%00", "robots", "robots/ci"],
          ...["policies", "policies/gold", "policies/gold", "policies/%00", "policies?after=%00"],
          ...["signers", `keys/${"0".repeat(64)}`, "keys/%00"],
          ...["repositories", "repositories?after=%00", "repositories?limit=0", "members?after=%ff&limit=9e9"],
        ),
      )
      .map(
        ([org, rest]) =>
          () =>
            `/api/v1/orgs/${org}/${rest}`,
      ),
  ],
  [
    1,
    fc
      .tuple(
        fc.constantFrom("/api/v1/tokens/", "/api/v1/users/", "/api/v1/orgs/alice/repositories/", "/api/v1/orgs/"),
        hostile,
      )
      .map((parts) => () => parts.join("")),
  ],
);
const JSON_TYPE = [["Content-Type", "application/json"] as const];
const anyRest: fc.Arbitrary<Shape> = fc.tuple(restPath, fc.boolean(), restBody).map(([path, write, body]) =>
  // Users are made and changed only where the body cannot be right: every password costs 30 ms.
  write ? { method: "PUT", target: path, headers: JSON_TYPE, body } : { method: "GET", target: path },
);
/** What is there, and mostly a body that is right: by chance alone the two hardly ever meet. */
const changeRepository: fc.Arbitrary<Shape> = fc
  .tuple(
    fc.constantFrom("alice/repositories/app", "alice/repositories/deep%2Fer%2Fname", "bob/repositories/app"),
    weighted<(world: World) => Buffer>(
      [3, late(fc.constantFrom("private", "public").map((text) => Buffer.from(`{"visibility":"${text}"}`)))],
      [1, restBody],
    ),
  )
  .map(([path, body]) => ({ method: "PUT", target: () => `/api/v1/orgs/${path}`, headers: JSON_TYPE, body }));
export const rest: fc.Arbitrary<Shape> = weighted([4, anyRest], [1, changeRepository]);
