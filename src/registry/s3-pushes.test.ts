import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hasS3Server, S3_KINDS, type S3Server, startS3Server } from "../../conformance/harness/s3-servers.ts";
import { digestOf, startUpload } from "../testing/images.ts";
import { openTestApp, type TestApp } from "../testing/open-test-app.ts";
import { closeWithoutErrors } from "./test-registry.ts";

/** Twice as many as there are connections for transactions. */
const AT_ONCE = 20;

for (const kind of S3_KINDS) {
  describe.skipIf(!hasS3Server(kind))(`end-6 PUT with blobs on ${kind} (conformance/provision builds it)`, () => {
    let server: S3Server;
    let app: TestApp;
    beforeAll(async () => {
      server = await startS3Server(kind);
      Object.assign(process.env, server.env);
      app = await openTestApp({ GOLDSEAL_BLOBS: server.url("registry/eu") });
    });
    afterAll(async () => {
      await closeWithoutErrors(app);
      await server.stop();
    });

    it("takes more new blobs at once than the database has connections, none of which waits for another", async () => {
      const place = { app, as: "alice", repository: "alice/many" };
      const sessions = await Promise.all(Array.from({ length: AT_ONCE }, () => startUpload(place)));

      const statuses = await Promise.all(
        sessions.map(async (path, index) => {
          const body = `blob ${index} of many`;
          return (await app.ask("PUT", `${path}?digest=${digestOf(body)}`, { as: "alice", body })).status;
        }),
      );

      expect(statuses).toEqual(sessions.map(() => 201));
    });
  });
}
