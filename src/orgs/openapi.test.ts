import { describe, expect, it } from "vitest";
import { z } from "zod";
import { useLab } from "./test-lab.ts";
import type { AnswerBody } from "./test-server.ts";

const { rest, must, server } = useLab();

describe("GET /api/v1/openapi.json", () => {
  const describedAt = ({ paths }: AnswerBody, path: string) => {
    const found = paths[path];
    if (found === undefined) throw new Error(`openapi.json does not describe ${path}`);
    return found;
  };

  it("describes every route of REST by the schemas that check it", async () => {
    const { status, body } = await server().send("GET", "/api/v1/openapi.json");

    expect(status).toBe(200);
    expect(body.openapi).toBe("3.1.0");
    const put = describedAt(body, "/api/v1/orgs/{org}/teams/{team}/grants/{repo}").put;
    expect(put.requestBody.content["application/json"].schema).toMatchObject({
      additionalProperties: false,
      required: ["level"],
      properties: { level: { enum: ["read-only", "read-write", "admin"] } },
    });
    expect(put.parameters.map(({ name }: { name: string }) => name)).toEqual([
      ...["org", "team", "repo"],
      ...["If-Match", "If-None-Match"],
    ]);
    expect(put.responses.default.content["application/problem+json"]).toBeDefined();
    const list = describedAt(body, "/api/v1/users").get;
    expect(list.parameters.map(({ name }: { name: string }) => name)).toEqual(["after", "limit"]);
  });

  it("names the conditions that changes take, and the lines of the audit", async () => {
    const { body } = await server().send("GET", "/api/v1/openapi.json");

    const operations = Object.values(body.paths).flatMap((path) => Object.entries(path));
    const unconditional = operations.filter(
      ([method, { parameters }]) => method !== "get" && !parameters.some(({ name }) => name === "If-Match"),
    );
    expect(unconditional.map(([, { operationId }]) => operationId).sort()).toEqual([
      ...["cluster-credential-issue", "cluster-credential-revoke", "cluster-digests-put"],
      ...["directory-sync", "keyring-reseal", "token-create", "token-delete", "token-keys-rotate"],
      ...["user-key-add", "user-key-challenge", "user-key-prove"],
    ]);
    const audit = describedAt(body, "/api/v1/audit").get.responses["200"].content;
    expect(Object.keys(audit)).toEqual(["application/json", "application/x-ndjson"]);
  });

  it("says what the routes answer", async () => {
    const { body } = await server().send("GET", "/api/v1/openapi.json");
    await must("PUT", "orgs/lab/robots/ci", { grants: [{ scope: "shut", actions: ["pull"] }] });
    await must("POST", "tokens", { name: "described" });
    const paths: Record<string, string> = {
      "users/{user}": "users/ann",
      "orgs/{org}": "orgs/lab",
      "orgs/{org}/members": "orgs/lab/members?limit=1",
      "orgs/{org}/members/{user}": "orgs/lab/members/owner",
      "orgs/{org}/teams/{team}": "orgs/lab/teams/reader",
      "orgs/{org}/teams/{team}/members/{user}": "orgs/lab/teams/reader/members/reader",
      "orgs/{org}/teams/{team}/grants/{repo}": "orgs/lab/teams/wholly/grants/*",
      "orgs/{org}/repositories/{repo}": "orgs/lab/repositories/shut",
      "orgs/{org}/repositories/{repo}/grants": "orgs/lab/repositories/shut/grants",
      "orgs/{org}/robots/{robot}": "orgs/lab/robots/ci",
      tokens: "tokens",
    };
    for (const [path, asked] of Object.entries(paths)) {
      const { schema } = describedAt(body, `/api/v1/${path}`).get.responses["200"].content["application/json"];
      const answer = await rest("GET", asked, undefined);
      expect([path, answer.status, z.fromJSONSchema(schema).safeParse(answer.body).error]).toEqual([
        path,
        200,
        undefined,
      ]);
      expect(z.fromJSONSchema(schema).safeParse({ ...answer.body, more: 1 }).success).toBe(false);
    }
  });
});
