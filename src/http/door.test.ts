import { once } from "node:events";
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { digestOf, OCI_MANIFEST, type Place, pushBlob, pushParts, putManifest } from "../testing/images.ts";
import { basic, openTestApp, type TestApp } from "../testing/open-test-app.ts";

let app: TestApp;
let place: Place;
let tags: string;
let auth: string;
beforeAll(async () => {
  app = await openTestApp();
  place = { app, as: "alice", repository: "alice/door" };
  const { manifest } = await pushParts(place);
  await putManifest(place, "v1", manifest);
  tags = "/v2/alice/door/tags/list";
  auth = `Host: registry.test\r\nAuthorization: ${basic("alice")}\r\n`;
});
afterAll(async () => {
  expect(app.errors()).toEqual([]);
  await app[Symbol.asyncDispose]();
});

const honest = `GET /v2/ HTTP/1.1\r\nHost: x\r\nAuthorization: ${basic("alice")}\r\nConnection: close\r\n\r\n`;

/** Every status line of what one connection answered, in order. */
async function statuses(bytes: string | Buffer): Promise<number[]> {
  const text = await app.http.raw(bytes);
  return [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));
}

const latin1 = (text: string) => Buffer.from(text, "latin1");

describe("the door, of a request that could be read in two ways", () => {
  it.each<[string, (auth: string) => string | Buffer]>([
    [
      "Transfer-Encoding beside Content-Length",
      (a) => `POST ${"/token"} HTTP/1.1\r\n${a}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    ],
    [
      "Content-Length beside Transfer-Encoding",
      (a) => `POST /token HTTP/1.1\r\n${a}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n`,
    ],
    [
      "two lengths that differ",
      (a) => `POST /token HTTP/1.1\r\n${a}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello`,
    ],
    ["a list of lengths", (a) => `POST /token HTTP/1.1\r\n${a}Content-Length: 5, 5\r\n\r\nhello`],
    ["a negative length", (a) => `POST /token HTTP/1.1\r\n${a}Content-Length: -5\r\n\r\n`],
    ["a length with a sign", (a) => `POST /token HTTP/1.1\r\n${a}Content-Length: +5\r\n\r\nhello`],
    ["a hexadecimal length", (a) => `POST /token HTTP/1.1\r\n${a}Content-Length: 0x5\r\n\r\nhello`],
    ["a length of 2^64", (a) => `POST /token HTTP/1.1\r\n${a}Content-Length: 18446744073709551616\r\n\r\n`],
    ["an unknown transfer coding", (a) => `POST /token HTTP/1.1\r\n${a}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`],
    [
      "chunked that is not last",
      (a) => `POST /token HTTP/1.1\r\n${a}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`,
    ],
    ["space before a colon", (a) => `GET /v2/ HTTP/1.1\r\n${a}Content-Length : 0\r\n\r\n`],
    ["a folded header", (a) => `GET /v2/ HTTP/1.1\r\n${a}X-Folded: one\r\n two\r\n\r\n`],
    ["a line end of its own", (a) => `GET /v2/ HTTP/1.1\n${a.replaceAll("\r", "")}\n`],
    ["a CR in a header", (a) => `GET /v2/ HTTP/1.1\r\n${a}X-A: one\rtwo\r\n\r\n`],
    ["NUL in a header", (a) => `GET /v2/ HTTP/1.1\r\n${a}X-A: one\0two\r\n\r\n`],
    ["NUL in the path", (a) => `GET /v2/\0 HTTP/1.1\r\n${a}\r\n`],
    ["a space in the path", (a) => `GET /v2/ x HTTP/1.1\r\n${a}\r\n`],
    ["no path", (a) => `GET HTTP/1.1\r\n${a}\r\n`],
    ["an unknown method", (a) => `BREW /v2/ HTTP/1.1\r\n${a}\r\n`],
    ["HTTP/2.0 as text", (a) => `GET /v2/ HTTP/2.0\r\n${a}\r\n`],
    ["the preface of HTTP/2", () => "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
    ["HTTP/9.9", (a) => `GET /v2/ HTTP/9.9\r\n${a}\r\n`],
    ["no Host", () => "GET /v2/ HTTP/1.1\r\n\r\n"],
    ["a TLS hello", () => latin1("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")],
    [
      "a chunk size that is none",
      (a) => `PATCH /v2/alice/door/blobs/uploads/x HTTP/1.1\r\n${a}Transfer-Encoding: chunked\r\n\r\nxyz\r\n`,
    ],
    ["the whole URL as target", (a) => `GET http://evil.test/v2/ HTTP/1.1\r\n${a}Connection: close\r\n\r\n`],
    [
      "the whole URL of ourselves as target",
      (a) => `GET https://registry.test/v2/ HTTP/1.1\r\n${a}Connection: close\r\n\r\n`,
    ],
    ["an asterisk as target", (a) => `OPTIONS * HTTP/1.1\r\n${a}Connection: close\r\n\r\n`],
    ["a path without its slash", (a) => `GET v2/ HTTP/1.1\r\n${a}Connection: close\r\n\r\n`],
  ])("answers 400 to %s, and nothing that follows on that connection is served", async (_what, request) => {
    const followed = [request(auth), honest].map((part) => Buffer.from(part as string));

    expect(await statuses(Buffer.concat(followed))).toEqual([400]);
    expect((await app.ask("GET", "/v2/", { as: "alice" })).status).toBe(200);
  });

  it.each([
    ["GET", "/v2/"],
    ["GET", "/v2/alice/door/tags/list"],
    ["HEAD", "/v2/alice/door/manifests/v1"],
    ["DELETE", "/v2/alice/door/manifests/v1"],
    ["GET", "/healthz"],
    ["GET", "/token"],
    ["GET", "/api/v1/users/alice"],
  ])("answers 400 to %s %s with a body, and the body is not taken for a request", async (method, path) => {
    const inner = "GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n";
    const request = `${method} ${path} HTTP/1.1\r\n${auth}Content-Length: ${inner.length}\r\n\r\n${inner}`;

    expect(await statuses(request + honest)).toEqual([400, 200]);
    expect((await app.ask("HEAD", "/v2/alice/door/manifests/v1", { as: "alice" })).status).toBe(200);
  });

  it.each(["Range: bytes=0-1", "Content-Range: 0-1", `Content-Type: ${OCI_MANIFEST}`, 'If-None-Match: "x"', "Host: x"])(
    "answers 400 where %s was sent twice",
    async (header) => {
      const target = header.startsWith("Content-T") ? "manifests/v1" : `blobs/${digestOf("layer of app")}`;
      const session = header.startsWith("Content-R") ? await startOf() : undefined;
      const method = session !== undefined ? "PATCH" : header.startsWith("Content-T") ? "PUT" : "GET";
      const body = method === "GET" ? "" : "xx";
      const head = `${method} ${session ?? `/v2/alice/door/${target}`} HTTP/1.1\r\n${auth}${header}\r\n${header}\r\n`;

      expect(await statuses(`${head}Content-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`)).toEqual([
        400,
      ]);
    },
  );

  it("answers 401 to two Authorization headers, however good", async () => {
    const text = await app.http.raw(
      `GET /v2/ HTTP/1.1\r\n${auth}Authorization: ${basic("alice")}\r\nConnection: close\r\n\r\n`,
    );

    expect(text).toMatch(/^HTTP\/1\.1 401 /);
  });

  it.each(["digest=a&digest=b", "mount[]=x", "digest[0]=x", "mount%5B%5D=x", "from[a]=b", "digest[$ne]=1"])(
    "answers 400 to the query %s",
    async (query) => {
      const before = await app.stored();

      const answer = await app.ask("POST", `/v2/alice/door/blobs/uploads/?${query}`, { as: "alice" });

      expect([answer.status, answer.code]).toEqual([400, "UNSUPPORTED"]);
      expect(await app.stored()).toEqual(before);
    },
  );

  it("answers 431 to headers of more than 16 KiB, in JSON, and closes", async () => {
    for (const header of [
      `X-Long: ${"x".repeat(17_000)}`,
      Array.from({ length: 2_000 }, (_, i) => `X-${i}: 12345678`).join("\r\n"),
    ]) {
      const text = await app.http.raw(`GET /v2/ HTTP/1.1\r\n${auth}${header}\r\n\r\n${honest}`);

      expect(text.match(/HTTP\/1\.1 (\d{3}) /g)).toEqual(["HTTP/1.1 431 "]);
      expect(JSON.parse(text.slice(text.indexOf("\r\n\r\n"))).errors[0].code).toBe("UNSUPPORTED");
    }
  });

  it("answers 417 in JSON to an expectation that is not 100-continue", async () => {
    const text = await app.http.raw(`GET /v2/ HTTP/1.1\r\n${auth}Expect: 200-ok\r\nConnection: close\r\n\r\n`);

    expect(text).toMatch(/^HTTP\/1\.1 417 /);
    expect(JSON.parse(text.slice(text.indexOf("\r\n\r\n"))).errors[0].code).toBe("UNSUPPORTED");
  });

  it.each([
    ["an expectation", 417, "PUT /v2/", "Expect: 200-ok"],
    ["a last request", 404, "PUT /none", "Connection: close"],
    ["a last request without an answer's body", 404, "HEAD /none", "Connection: close"],
  ])("lets whoever sends on in spite of a refusal come to the end of it: %s", async (_, status, line, header) => {
    const socket = connect({ host: "127.0.0.1", port: app.port }).setEncoding("latin1");
    const body = "x".repeat(8 * 1024 * 1024);
    let text = "";
    socket.on("data", (piece) => {
      text += piece;
    });

    socket.write(`${line} HTTP/1.1\r\n${auth}${header}\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    // It would be an error, ECONNRESET, over bytes that nobody takes, and the answer might be lost.
    await once(socket, "end");

    expect(text).toMatch(new RegExp(`^HTTP/1\\.1 ${status} .*\r\n\r\n`, "s"));
  });

  it("sends 100 Continue only for a body that it will read", async () => {
    const body = "expected";
    const path = `/v2/alice/door/blobs/uploads/?digest=${digestOf(body)}`;
    const request = (credentials: string) =>
      `POST ${path} HTTP/1.1\r\n${credentials}Expect: 100-continue\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`;

    expect(await statuses(request(auth))).toEqual([100, 201]);
    expect(await statuses(request("Host: x\r\n"))).toEqual([401]);
  });

  it.each(["h2c", "websocket", "TLS/1.3"])(
    "answers 400 to an upgrade to %s, and serves nothing after it",
    async (protocol) => {
      const upgrade = `Connection: Upgrade, HTTP2-Settings\r\nUpgrade: ${protocol}\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n`;

      expect(await statuses(`GET ${tags} HTTP/1.1\r\n${auth}${upgrade}\r\n${honest}`)).toEqual([400]);
      expect(await statuses(`CONNECT evil.test:443 HTTP/1.1\r\n${auth}\r\n${honest}`)).toEqual([400]);
    },
  );

  it("answers HTTP/1.0, as a proxy in front may speak it, and closes", async () => {
    const text = await app.http.raw(`GET ${tags} HTTP/1.0\r\n${auth}\r\n${honest}`);

    expect(text.match(/HTTP\/1\.1 (\d{3}) /g)).toEqual(["HTTP/1.1 200 "]);
    expect(text).toContain("Connection: close");
  });

  it("is heard when it refuses a request whose body is still coming", async () => {
    const body = Buffer.alloc(8 * 1024 * 1024);
    for (const target of ["/v2/\xff\xfe", "/v2/ x", `/${"x".repeat(20_000)}`]) {
      const head = latin1(`PUT ${target} HTTP/1.1\r\n${auth}Content-Length: ${body.length}\r\n\r\n`);

      const [status] = await statuses(Buffer.concat([head, body]));

      expect([400, 431]).toContain(status);
    }
  });

  it("answers what was asked before bytes that are not HTTP, and then refuses those", async () => {
    const one = `GET ${tags} HTTP/1.1\r\n${auth}\r\n`;

    expect(await statuses(`${one}${one}\x16\x03\x01 nonsense\r\n\r\n`)).toEqual([200, 200, 400]);
  });

  it("answers requests that come all at once in their order", async () => {
    const one = (path: string) => `GET ${path} HTTP/1.1\r\n${auth}\r\n`;

    expect(await statuses(one(tags) + one("/v2/alice/door/tags") + one("/nowhere") + honest)).toEqual([
      200, 404, 404, 200,
    ]);
  });
});

describe("bodies that never come", () => {
  it("keep nobody else's push waiting, however many", async () => {
    const head = "POST /token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n";
    const sockets = Array.from({ length: 513 }, () => connect({ host: "127.0.0.1", port: app.port }));
    await Promise.all(sockets.map((socket) => once(socket, "connect")));
    for (const socket of sockets) socket.write(`${head}Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n`);

    const { status } = await putManifest(place, "not-kept-waiting", (await pushParts(place)).manifest);

    expect(status).toBe(201);
    for (const socket of sockets) socket.on("error", () => undefined).destroy();
  });
});

async function startOf(): Promise<string> {
  const answer = await app.ask("POST", "/v2/alice/door/blobs/uploads/", { as: "alice" });
  await pushBlob(place, "layer of app");
  return new URL(String(answer.headers.location)).pathname;
}
