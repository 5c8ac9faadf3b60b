import { describe, expect, it } from "vitest";
import { digestOf, OCI_MANIFEST, pushBlob, pushParts, putManifest, startUpload } from "../testing/images.ts";
import { withoutRecord } from "../testing/without-record.ts";
import { fingerprints, useAuditedApp } from "./test-audit.ts";

const { app, mustBeOne } = useAuditedApp();
const repository = "lab/app";
const place = () => ({ app: app(), as: "admin", repository });

describe("a push", () => {
  it("and its record are there together or not at all, whatever it brings", async () => {
    const send = (method: string, path: string, body?: string) => () =>
      app().ask(method, `/v2/${path}`, {
        as: "admin",
        ...(body === undefined ? {} : { body, headers: { "content-type": OCI_MANIFEST } }),
      });
    await mustBeOne("end-4", send("POST", `${repository}/blobs/uploads/`));
    const { manifest } = await pushParts(place());
    const image = JSON.stringify(manifest);

    await mustBeOne("end-4", send("POST", `${repository}/blobs/uploads/?digest=${digestOf("whole")}`, "whole"));
    const session = (await startUpload(place())).replace("/v2/", "");
    await mustBeOne("end-6", send("PUT", `${session}?digest=${digestOf("parts")}`, "parts"));
    await pushParts({ ...place(), repository: "lab/other" });
    const extra = await pushBlob(place(), "to be mounted");
    await mustBeOne("end-4", send("POST", `lab/other/blobs/uploads/?mount=${extra}&from=${repository}`));
    await mustBeOne("end-7", send("PUT", `${repository}/manifests/v1`, image));
    await mustBeOne("end-9", send("DELETE", `${repository}/manifests/v1`));
    await mustBeOne("end-9", send("DELETE", `${repository}/manifests/${digestOf(image)}`));
    await mustBeOne("end-10", send("DELETE", `${repository}/blobs/${extra}`));
    expect((await putManifest(place(), "v1", manifest)).status).toBe(201);
  });
});

describe("an identity token", () => {
  it("and the record of the sign-in that got it are there together or not at all", async () => {
    const signIn = () => app().ask("GET", "/token?offline_token=true&client_id=docker", { as: "bob" });
    const signIns = async () =>
      (await app().database.query("", "select 1 from audit_log where action = 'sign-in' and actor = 'bob'")).length;
    const before = [await fingerprints(app().database), await signIns()];

    const failed = await withoutRecord(app().database, signIn);
    const between = [await fingerprints(app().database), await signIns()];
    const done = await signIn();

    expect([failed.status, between]).toEqual([507, before]);
    expect([done.status, await signIns()]).toEqual([200, 1]);
  });
});
