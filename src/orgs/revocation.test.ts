import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { digestOf, type Image, OCI_MANIFEST, pathOf, pushParts } from "../testing/images.ts";
import { basic, openTestApp, type TestApp } from "../testing/open-test-app.ts";

let app: TestApp;
let run = 0;
let org = "";
let image: Image;

beforeAll(async () => {
  app = await openTestApp();
});

/** Names are reserved for long, so every test has an organization of its own, with alice as owner and bob in a team. */
beforeEach(async () => {
  org = `org${run++}`;
  await must("PUT", `orgs/${org}`, {});
  await must("PUT", `orgs/${org}/members/alice`, { role: "owner" });
  await must("PUT", `orgs/${org}/members/bob`, { role: "member" });
  await must("PUT", `orgs/${org}/teams/dev`, {});
  await must("PUT", `orgs/${org}/teams/dev/members/bob`, {});
  image = await pushParts({ app, as: "alice", repository: `${org}/app` });
  await must("PUT", `orgs/${org}/teams/dev/grants/app`, { level: "read-write" });
});

afterAll(async () => {
  expect(app.errors()).toEqual([]);
  await app[Symbol.asyncDispose]();
});

async function must(method: string, path: string, body?: unknown, as = "admin") {
  const sent = body === undefined ? {} : { body: JSON.stringify(body) };
  const { status, body: answer } = await app.ask(method, `/api/v1/${path}`, { as, ...sent });
  if (status >= 300) throw new Error(`${method} ${path} answered ${status}: ${answer}`);
  return answer.length === 0 ? {} : JSON.parse(answer.toString());
}

type Headers = Record<string, string>;

const byPassword = async (): Promise<Headers> => ({ authorization: basic("bob") });

async function byAccessToken(credentials: Headers): Promise<Headers> {
  const { body } = await app.ask("GET", `/token?scope=repository:${org}/app:pull,push`, { headers: credentials });
  return { authorization: `Bearer ${JSON.parse(body.toString()).token}` };
}

async function byPersonalToken(): Promise<Headers> {
  const { secret } = await must("POST", "tokens", { name: org }, "bob");
  return { authorization: basic("bob", secret) };
}

async function byRobot(): Promise<Headers> {
  const { username, secret } = await must("PUT", `orgs/${org}/robots/ci`, {
    grants: [{ scope: "app", actions: ["pull", "push"] }],
  });
  return { authorization: basic(username, secret) };
}

interface Revocation {
  readonly what: string;
  readonly signIn: () => Promise<Headers>;
  revoke(): Promise<unknown>;
  restore?(): Promise<unknown>;
}

const REVOCATIONS: readonly Revocation[] = [
  {
    what: "the user is suspended",
    signIn: byPassword,
    revoke: () => must("PUT", "users/bob", { suspended: true }),
    restore: () => must("PUT", "users/bob", { suspended: false }),
  },
  {
    what: "the user is suspended, of an access token",
    signIn: async () => byAccessToken(await byPassword()),
    revoke: () => must("PUT", "users/bob", { suspended: true }),
    restore: () => must("PUT", "users/bob", { suspended: false }),
  },
  {
    what: "the user's password is changed",
    signIn: byPassword,
    revoke: () => must("PUT", "users/bob", { password: "a new password" }),
    restore: () => must("PUT", "users/bob", { password: "correct horse battery" }),
  },
  {
    what: "the grant is removed",
    signIn: byPassword,
    revoke: () => must("DELETE", `orgs/${org}/teams/dev/grants/app`),
  },
  {
    what: "the grant becomes read-only",
    signIn: byPassword,
    revoke: () => must("PUT", `orgs/${org}/teams/dev/grants/app`, { level: "read-only" }),
  },
  { what: "the team is deleted", signIn: byPassword, revoke: () => must("DELETE", `orgs/${org}/teams/dev`) },
  {
    what: "the user leaves the team",
    signIn: async () => byAccessToken(await byPassword()),
    revoke: () => must("DELETE", `orgs/${org}/teams/dev/members/bob`),
  },
  {
    what: "the user leaves the organization",
    signIn: byPassword,
    revoke: () => must("DELETE", `orgs/${org}/members/bob`),
  },
  {
    what: "the personal token is deleted",
    signIn: byPersonalToken,
    revoke: () => must("DELETE", `tokens/${org}`, undefined, "bob"),
  },
  {
    what: "the personal token is deleted, of an access token got for it",
    signIn: async () => byAccessToken(await byPersonalToken()),
    revoke: () => must("DELETE", `tokens/${org}`, undefined, "bob"),
  },
  { what: "the robot is rotated", signIn: byRobot, revoke: () => must("POST", `orgs/${org}/robots/ci/rotate`, {}) },
  {
    what: "the robot is rotated, of an access token",
    signIn: async () => byAccessToken(await byRobot()),
    revoke: () => must("POST", `orgs/${org}/robots/ci/rotate`, {}),
  },
  { what: "the robot is deleted", signIn: byRobot, revoke: () => must("DELETE", `orgs/${org}/robots/ci`) },
  {
    what: "the repository is deleted",
    signIn: byPassword,
    revoke: () => must("DELETE", `orgs/${org}/repositories/app`),
  },
  {
    what: "the repository and its organization are deleted",
    signIn: byPassword,
    revoke: async () => {
      await must("DELETE", `orgs/${org}/repositories/app`);
      await must("DELETE", `orgs/${org}`);
    },
  },
  {
    what: "the repository is moved to another organization",
    signIn: byPassword,
    revoke: async () => {
      await must("PUT", `orgs/${org}-two`, {});
      await must("POST", `orgs/${org}/repositories/app/rename`, { name: `${org}-two/app` });
    },
  },
];

const DENIED = [401, 403, 404];
const manifest = () => JSON.stringify(image.manifest);
const typed = (headers: Headers) => ({ ...headers, "content-type": OCI_MANIFEST });
const manifestPath = (tag: string) => `/v2/${org}/app/manifests/${tag}`;

const beginUpload = async (headers: Headers) =>
  pathOf(await app.ask("POST", `/v2/${org}/app/blobs/uploads/`, { headers }));

/** What the database holds of pushes, by whatever name: rows that a denied push must not have added to. */
async function pushed() {
  const { tags, manifests, repository_blobs } = await app.stored();
  return { tags, manifests, repository_blobs };
}

describe.each(REVOCATIONS)("when $what", ({ signIn, revoke, restore }) => {
  it("pushes whose body is under way are denied, and leave nothing", async () => {
    const headers = await signIn();
    const [session, other] = [await beginUpload(headers), await beginUpload(headers)];
    const whole = `/v2/${org}/app/blobs/uploads/?digest=${digestOf("whole")}`;
    const pushes = [
      await app.http.holdBody("PUT", manifestPath("late"), { headers: typed(headers), body: manifest() }),
      await app.http.holdBody("PUT", `${session}?digest=${digestOf("late")}`, { headers, body: "late" }),
      await app.http.holdBody("POST", whole, { headers, body: "whole" }),
    ];

    await revoke();
    const before = await pushed();
    const answers = await Promise.all(pushes.map((push) => push()));
    const next = [
      await app.ask("PUT", manifestPath("next"), { headers: typed(headers), body: manifest() }),
      await app.ask("PATCH", other, { headers, body: "more" }),
      await app.ask("PUT", `${other}?digest=${digestOf("more")}`, { headers, body: "more" }),
      await app.ask("POST", `/v2/${org}/app/blobs/uploads/`, { headers }),
    ];
    const after = await pushed();
    await restore?.();

    for (const { status } of [...answers, ...next]) expect(DENIED).toContain(status);
    expect(after).toEqual(before);
  });

  it("a push that meets it is over before it or denied: nothing appears once it is answered", async () => {
    const headers = await signIn();
    const pushes = Array.from({ length: 12 }, (_, at) =>
      app.ask("PUT", manifestPath(`t${at}`), { headers: typed(headers), body: manifest() }),
    );

    const seen = revoke().then(pushed);
    const answers = await Promise.all(pushes);
    const [then, now] = [await seen, await pushed()];
    await restore?.();

    expect(now).toEqual(then);
    for (const { status } of answers) expect([201, ...DENIED]).toContain(status);
  });
});
