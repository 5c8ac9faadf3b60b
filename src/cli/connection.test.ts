import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { findRegistry } from "./connection.ts";

const home = process.cwd();
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "goldseal-connection-"));
  await mkdir(join(folder, "data"));
  await writeFile(join(folder, "data", "ca.crt"), "a CA");
  process.chdir(folder);
});
afterEach(async () => {
  process.chdir(home);
  await rm(folder, { recursive: true });
});

const caOf = async (url: string, more: object = {}) =>
  (await findRegistry({ url }, { HOME: folder, DOCKER_CONFIG: folder, ...more })).ca;

it.each(["https://127.0.0.1:5443", "https://localhost:5443", "https://[::1]:5443"])(
  "takes the CA beside it for the server of this machine, %s",
  async (url) => expect(await caOf(url)).toBe("a CA"),
);

it.each(["https://registry.example", "https://127.example", "https://localhost.example", "https://192.0.2.1:5443"])(
  "does not let the current folder vouch for another machine, %s",
  async (url) => expect(await caOf(url)).toBeUndefined(),
);

it("takes the CA of a data folder that was named, for any machine", async () => {
  expect(await caOf("https://registry.example", { GOLDSEAL_DATA: join(folder, "data") })).toBe("a CA");
});
