import { PassThrough } from "node:stream";
import { afterAll, beforeAll } from "vitest";
import { basic, openTestServer, type TestServer } from "../orgs/test-server.ts";
import { runCli } from "./main.ts";

interface Typing {
  readonly stdin?: string;
  /** Lines typed at a terminal, one after the other question. */
  readonly typed?: readonly string[];
  readonly env?: Record<string, string | undefined>;
}

/** For every test of a file: a server with the users `admin` and `alice`, and the command line on it. */
export function useCli() {
  let server: TestServer;
  let env: Record<string, string>;

  beforeAll(async () => {
    server = await openTestServer();
    await server.addUser("admin", "admin's password", { systemAdmin: true });
    await server.addUser("alice", "alice's password");
    const url = `http://127.0.0.1:${server.port}`;
    env = { GOLDSEAL_PUBLIC_URL: url, GOLDSEAL_ADMIN_PASSWORD: "admin's password", GOLDSEAL_DATA: "/nonexistent" };
  });
  afterAll(() => server.close());

  async function goldseal(line: string, { stdin, typed, env: extra = {} }: Typing = {}) {
    const input = Object.assign(new PassThrough(), { isTTY: typed !== undefined, raw: [] as boolean[] });
    const setRawMode = (on: boolean) => input.raw.push(on);
    const io = { stdin: Object.assign(input, { setRawMode }), stdout: new PassThrough(), stderr: new PassThrough() };
    if (stdin !== undefined) input.end(stdin);
    const waiting = [...(typed ?? [])];
    io.stderr.on("data", (chunk: Buffer) => {
      if (chunk.toString().endsWith(": ")) input.write(waiting.shift());
    });
    const [out, err]: [string[], string[]] = [[], []];
    io.stdout.on("data", (chunk: Buffer) => out.push(chunk.toString()));
    io.stderr.on("data", (chunk: Buffer) => err.push(chunk.toString()));
    const status = await runCli(line.split(" "), { ...env, ...extra }, io);
    await new Promise(setImmediate);
    return { status, out: out.join(""), err: err.join(""), raw: input.raw };
  }

  async function canSignIn(name: string, password: string): Promise<boolean> {
    return (await server.send("GET", "/v2/", { headers: basic(name, password) })).status === 200;
  }

  return { goldseal, canSignIn, server: () => server };
}
