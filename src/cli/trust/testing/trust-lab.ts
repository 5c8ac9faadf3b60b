/** The whole system with people who sign, each at a machine of their own. */
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type RequestOptions, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, type Readable } from "node:stream";
import { afterAll, beforeAll, expect } from "vitest";
import { OCI_INDEX, type Place, pushParts, putManifest } from "../../../testing/images.ts";
import { openTestApp, PUBLIC_URL, type TestApp } from "../../../testing/open-test-app.ts";
import { runCli } from "../../main.ts";

export const HOST = new URL(PUBLIC_URL).host;

export interface Run {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

export interface RunOptions {
  /** Where it connects to; default: the server. `none`: where the image or the settings say. */
  readonly port?: number | "none";
  /** Undefined: nobody signs in. */
  readonly as?: string | undefined;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

export interface Machine {
  /** Docker's folder there. */
  readonly folder: string;
  goldseal(line: string, options?: RunOptions): Promise<Run>;
}

const PASSPHRASES = {
  DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE: "rootpass123",
  DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE: "repopass123",
};

/** For every test of a file. */
export function useTrustLab() {
  let app: TestApp;
  let home: string;
  beforeAll(async () => {
    // A test that moves the command line's clock leaves the server's where it is.
    const started = new Date();
    const now = (): Date => started;
    [app, home] = await Promise.all([openTestApp({}, now), mkdtemp(join(tmpdir(), "goldseal-trust-"))]);
  });
  afterAll(async () => {
    expect(app.errors()).toEqual([]);
    await app[Symbol.asyncDispose]();
    await rm(home, { recursive: true });
  });
  let machines = 0;
  const openMachine = (user: string): Machine => {
    const folder = join(home, `${user}-${++machines}`);
    const own = { DOCKER_CONFIG: folder, GOLDSEAL_DATA: "/nonexistent", GOLDSEAL_PASSWORD: "correct horse battery" };
    return {
      folder,
      goldseal: (line, options = {}) => {
        const as = "as" in options ? options.as : user;
        const { port = app.port } = options;
        const url = port === "none" ? [] : ["--url", `http://127.0.0.1:${port}`];
        const who = as === undefined ? [] : ["--as", as];
        const password = as === undefined ? { GOLDSEAL_PASSWORD: undefined } : {};
        return runOnce([...line.split(" "), ...url, ...who], { ...own, ...PASSPHRASES, ...password, ...options.env });
      },
    };
  };
  return { app: () => app, openMachine };
}

async function runOnce(argv: readonly string[], env: Record<string, string | undefined>): Promise<Run> {
  const io = { stdin: new PassThrough(), stdout: new PassThrough(), stderr: new PassThrough() };
  const [out, err]: [string[], string[]] = [[], []];
  io.stdout.on("data", (chunk: Buffer) => out.push(chunk.toString()));
  io.stderr.on("data", (chunk: Buffer) => err.push(chunk.toString()));
  const status = await runCli(argv, env, io);
  await new Promise(setImmediate);
  return { status, out: out.join(""), err: err.join("") };
}

/** Pushes a small image under `tag`; its digest. */
export async function pushImage(place: Place, tag: string, content = tag): Promise<string> {
  const { manifest } = await pushParts(place, content);
  const answer = await putManifest(place, tag, manifest);
  expect(answer.status).toBe(201);
  return String(answer.headers["docker-content-digest"]);
}

/** Pushes an OCI index of two platforms under `tag`; its digest. */
export async function pushIndex(place: Place, tag: string): Promise<string> {
  const manifests = [];
  for (const architecture of ["amd64", "arm64"]) {
    const { manifest } = await pushParts(place, `${tag}-${architecture}`);
    const { headers } = await putManifest(place, `${tag}-${architecture}`, manifest);
    const digest = String(headers["docker-content-digest"]);
    const size = JSON.stringify(manifest).length;
    manifests.push({ mediaType: manifest.mediaType, digest, size, platform: { architecture, os: "linux" } });
  }
  const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests };
  const answer = await putManifest(place, tag, index, { contentType: OCI_INDEX });
  expect(answer.status).toBe(201);
  return String(answer.headers["docker-content-digest"]);
}

/** A server in the middle that changes answers to requests whose path fits. */
export async function startLiar(port: number, fits: RegExp, change: (body: Buffer) => Buffer) {
  const liar = createServer(async (incoming, outgoing) => {
    const { method = "", url = "", headers } = incoming;
    const answer = await ask(port, { method, path: url, headers }, incoming);
    const isRead = method === "GET" && fits.test(url);
    const body = isRead ? change(answer.body) : answer.body;
    const length = isRead ? { "content-length": body.length } : {};
    outgoing.writeHead(answer.status, { ...answer.headers, ...length }).end(body);
  });
  liar.listen(0, "127.0.0.1");
  await once(liar, "listening");
  const address = liar.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return { port: address.port, close: () => new Promise((resolve) => liar.close(resolve)) };
}

async function ask(port: number, options: RequestOptions, body: Readable) {
  const outgoing = request({ host: "127.0.0.1", port, agent: false, ...options });
  body.pipe(outgoing);
  const [incoming]: IncomingMessage[] = await once(outgoing, "response");
  if (incoming === undefined) throw new Error("no answer");
  const pieces: Buffer[] = [];
  for await (const piece of incoming) pieces.push(piece);
  return { status: incoming.statusCode ?? 0, headers: incoming.headers, body: Buffer.concat(pieces) };
}
