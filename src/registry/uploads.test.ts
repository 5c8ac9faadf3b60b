import { Readable } from "node:stream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { digestOf, type Place, pathOf, startUpload } from "../testing/images.ts";
import { basic, openTestApp, type TestApp } from "../testing/open-test-app.ts";
import { closeWithoutErrors, octets, patchUpload, putUpload } from "./test-registry.ts";

let app: TestApp;
let place: Place;
beforeAll(async () => {
  app = await openTestApp();
  place = { app, as: "alice", repository: "alice/uploads" };
});
afterAll(() => closeWithoutErrors(app));

const patch = (path: string, body: string, contentRange?: string, as?: string) =>
  patchUpload(app, path, body, contentRange, as);
const put = (path: string, digest: string, body?: string, headers?: Record<string, string>) =>
  putUpload(app, path, digest, body, headers);

describe("end-5 PATCH", () => {
  it("answers 416 with the range to go on from for a gap, an overlap, a replay and a reversed range", async () => {
    const path = await startUpload(place);
    const first = await patch(path, "01234", "0-4");
    expect([first.status, first.headers.range]).toEqual([202, "0-4"]);

    for (const [body, range] of [
      ["abcde", "10-14"],
      ["1234567", "1-7"],
      ["01234", "0-4"],
      ["56789", "9-5"],
      ["56789", "5-8"],
      ["56789", "5-10"],
      ["56789", "5-9007199254740991"],
    ] as const) {
      const answer = await patch(path, body, range);

      expect([range, answer.status, answer.code, answer.headers.range]).toEqual([
        range,
        416,
        "BLOB_UPLOAD_INVALID",
        "0-4",
      ]);
      expect(pathOf(answer)).toBe(path);
    }
    const next = await patch(path, "56789", "5-9");
    expect([next.status, next.headers.range]).toEqual([202, "0-9"]);
    const wrong = await put(path, digestOf("0123456789 and more"));
    expect([wrong.status, wrong.code]).toEqual([400, "DIGEST_INVALID"]);
    const right = await put(path, digestOf("0123456789"));
    expect(right.status).toBe(201);
    const blob = await app.ask("GET", `/v2/alice/uploads/blobs/${digestOf("0123456789")}`, { as: "alice" });
    expect(blob.body.toString()).toBe("0123456789");
  });

  it("answers 416 when a chunked body is shorter or longer than its Content-Range", async () => {
    const path = await startUpload(place);
    const send = (body: string) =>
      app.ask("PATCH", path, {
        as: "alice",
        headers: { ...octets, "content-range": "0-4" },
        body: Readable.from([Buffer.from(body)]),
      });

    const [short, long] = [await send("0123"), await send("012345")];

    expect([short.status, long.status]).toEqual([416, 416]);
    const status = await app.ask("GET", path, { as: "alice" });
    expect(status.headers.range).toBe("0-0");
    expect((await patch(path, "01234", "0-4")).status).toBe(202);
  });

  it.each(["bytes 0-4/5", "bytes=0-4", "0-", "-4", "a-b", "0-4,5-9", "0-99999999999999999", ""])(
    "answers 400 BLOB_UPLOAD_INVALID for Content-Range %j",
    async (range) => {
      const path = await startUpload(place);

      const answer = await patch(path, "01234", range);

      expect([answer.status, answer.code]).toEqual([400, "BLOB_UPLOAD_INVALID"]);
      expect((await app.ask("GET", path, { as: "alice" })).headers.range).toBe("0-0");
    },
  );

  it("appends what comes without Content-Range", async () => {
    const path = await startUpload(place);

    const answers = [await patch(path, "one "), await patch(path, "two "), await patch(path, "three")];

    expect(answers.map(({ status, headers }) => [status, headers.range])).toEqual([
      [202, "0-3"],
      [202, "0-7"],
      [202, "0-12"],
    ]);
    expect((await put(path, digestOf("one two three"))).status).toBe(201);
  });

  it("lets one of two chunks win that start at the same byte, and the upload still completes", async () => {
    const path = await startUpload(place);

    const answers = await Promise.all(["aaaaa", "bbbbb", "ccccc", "ddddd"].map((body) => patch(path, body, "0-4")));

    expect(answers.map(({ status }) => status).sort()).toEqual([202, 416, 416, 416]);
    expect(answers.map(({ headers }) => headers.range)).toEqual(["0-4", "0-4", "0-4", "0-4"]);
    const winner = ["aaaaa", "bbbbb", "ccccc", "ddddd"][answers.findIndex(({ status }) => status === 202)] ?? "";
    expect((await put(path, digestOf(winner))).status).toBe(201);
  });

  it("keeps nothing of a chunk whose sender went away", async () => {
    const path = await startUpload(place);
    const head = `PATCH ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: ${basic("alice")}\r\n`;
    const files = (await app.stored()).files;

    await app.http.abort(`${head}Content-Length: 1000\r\n\r\n${"x".repeat(500)}`);
    await app.http.abort(`${head}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`);
    await app.http.abort(`${head}Content-Length: 1000\r\nExpect: 100-continue\r\n\r\n`);

    expect((await patch(path, "01234", "0-4")).status).toBe(202);
    expect((await put(path, digestOf("01234"))).status).toBe(201);
    await expect.poll(async () => (await app.stored()).files).toBe((files ?? 0) + 1);
  });
});

describe("end-6 PUT", () => {
  it("answers 201 to one of two parallel final PUTs and 404 to the other", async () => {
    for (let round = 0; round < 10; round++) {
      const content = `final ${round}`;
      const path = await startUpload(place);
      await patch(path, content);

      const answers = await Promise.all([put(path, digestOf(content)), put(path, digestOf(content))]);

      expect(answers.map(({ status, code }) => [status, code]).sort()).toEqual([
        [201, undefined],
        [404, "BLOB_UPLOAD_UNKNOWN"],
      ]);
      const blob = await app.ask("GET", `/v2/alice/uploads/blobs/${digestOf(content)}`, { as: "alice" });
      expect(blob.body.toString()).toBe(content);
    }
  });

  it.each(["", "head of "])(
    "answers 201 to one of two parallel final PUTs that bring bytes (after %j)",
    async (head) => {
      for (let round = 0; round < 10; round++) {
        const path = await startUpload(place);
        const tail = `tail ${round} of ${head}`;
        if (head !== "") await patch(path, head);

        const answers = await Promise.all([
          put(path, digestOf(head + tail), tail),
          put(path, digestOf(head + tail), tail),
        ]);

        expect(answers.map(({ status, code }) => [status, code]).sort()).toEqual([
          [201, undefined],
          [404, "BLOB_UPLOAD_UNKNOWN"],
        ]);
        const blob = await app.ask("GET", `/v2/alice/uploads/blobs/${digestOf(head + tail)}`, { as: "alice" });
        expect(blob.body.toString()).toBe(head + tail);
      }
    },
  );

  it("leaves the upload as it was after a wrong digest, also when the PUT brought bytes", async () => {
    const path = await startUpload(place);
    await patch(path, "kept, ");

    const wrong = await put(path, digestOf("something else"), "lost");

    expect([wrong.status, wrong.code]).toEqual([400, "DIGEST_INVALID"]);
    const status = await app.ask("GET", path, { as: "alice" });
    expect([status.status, status.headers.range]).toEqual([204, "0-5"]);
    expect((await put(path, digestOf("kept, mended"), "mended")).status).toBe(201);
  });

  it("answers 416 when the last chunk does not start where the upload ends, and stores no blob", async () => {
    const path = await startUpload(place);
    await patch(path, "01234");

    const answer = await put(path, digestOf("0123489"), "89", { "content-range": "8-9" });

    expect([answer.status, answer.headers.range]).toEqual([416, "0-4"]);
    expect((await put(path, digestOf("0123456"), "56", { "content-range": "5-6" })).status).toBe(201);
  });

  it.each(["", "?digest=", "?digest=sha256:xyz", `?digest=md5:${"0".repeat(32)}`])(
    "answers 400 DIGEST_INVALID for %j and the upload goes on",
    async (query) => {
      const path = await startUpload(place);
      await patch(path, "still here");

      const answer = await app.ask("PUT", `${path}${query}`, { as: "alice" });

      expect([answer.status, answer.code]).toEqual([400, "DIGEST_INVALID"]);
      expect((await put(path, digestOf("still here"))).status).toBe(201);
    },
  );

  it("answers 400 when digest stands there twice", async () => {
    const path = await startUpload(place);
    await patch(path, "x");

    const answer = await app.ask("PUT", `${path}?digest=${digestOf("x")}&digest=${digestOf("y")}`, { as: "alice" });

    expect([answer.status, answer.code]).toEqual([400, "UNSUPPORTED"]);
    expect((await put(path, digestOf("x"))).status).toBe(201);
  });

  it("stores all or nothing when the sender goes away at any byte of the request", async () => {
    const content = "whole or nothing";
    const digest = digestOf(content);
    for (const sent of [0, 1, 8, content.length - 1, content.length]) {
      const path = await startUpload({ ...place, repository: `alice/abort-${sent}` });
      const head = `PUT ${path}?digest=${digest} HTTP/1.1\r\nHost: x\r\nAuthorization: ${basic("alice")}\r\nContent-Length: ${content.length}\r\n\r\n`;

      await app.http.abort(head + content.slice(0, sent));

      const blob = await app.ask("GET", `/v2/alice/abort-${sent}/blobs/${digest}`, { as: "alice" });
      if (blob.status === 404) {
        const again = await put(path, digest, content);
        // The broken request may have got through in between: then the session is gone and the blob there.
        expect([201, 404]).toContain(again.status);
      }
      const after = await app.ask("GET", `/v2/alice/abort-${sent}/blobs/${digest}`, { as: "alice" });
      expect([after.status, after.body.toString()]).toEqual([200, content]);
    }
  });

  it("completes a sha512 upload, in chunks and whole, whatever it was begun with", async () => {
    const digest = digestOf("long digest", "sha512");
    const whole = await startUpload(place);
    const chunked = await startUpload(place);
    const announced = await startUpload(place, "?digest-algorithm=sha512");
    for (const path of [chunked, announced]) {
      await patch(path, "long ", "0-4");
      await patch(path, "digest", "5-10");
    }

    const answers = [await put(whole, digest, "long digest"), await put(chunked, digest), await put(announced, digest)];

    expect(answers.map(({ status, headers }) => [status, headers["docker-content-digest"]])).toEqual(
      answers.map(() => [201, digest]),
    );
    const wrong = await put(await startUpload(place), digestOf("long digest", "sha512"), "short digest");
    expect([wrong.status, wrong.code]).toEqual([400, "DIGEST_INVALID"]);
  });
});
