import { once } from "node:events";
import { cp, readdir, readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import { HOST, type Machine, pushImage, startLiar, useTrustLab } from "./testing/trust-lab.ts";

const lab = useTrustLab();
const place = (repository: string, as = "alice") => ({ app: lab.app(), as, repository });
afterEach(() => void vi.useRealTimers());

let count = 0;

/** A repository in which alice signed tag 1. */
async function signed(): Promise<{ image: string; repository: string; alice: Machine; digest: string }> {
  const repository = `alice/refused-${++count}`;
  const image = `${HOST}/${repository}`;
  const digest = await pushImage(place(repository), "1");
  const alice = lab.openMachine("alice");
  expect((await alice.goldseal(`trust init ${image}`)).status).toBe(0);
  expect((await alice.goldseal(`trust sign ${image}:1`)).status).toBe(0);
  return { image, repository, alice, digest };
}

const metadata = (machine: Machine, image: string) => join(machine.folder, "trust", "tuf", image, "metadata");

async function makePublic(repository: string): Promise<void> {
  const [org, name] = repository.split("/");
  const body = JSON.stringify({ visibility: "public" });
  const { status } = await lab.app().ask("PUT", `/api/v1/orgs/${org}/repositories/${name}`, { as: "admin", body });
  expect(status).toBe(200);
}

describe("goldseal trust verify refuses", () => {
  it("trust data that went back behind what this machine has seen", async () => {
    const { image, repository, alice } = await signed();
    await pushImage(place(repository), "2");
    await alice.goldseal(`trust sign ${image}:2`);

    // As a database restored from yesterday's backup would have it.
    const back = `update trust_current set version = version - 1 where role in ('timestamp', 'snapshot')
      and collection_id = (select id from trust_collections where gun = $1)`;
    await lab.app().database.query("", back, [image]);

    const verify = await alice.goldseal(`trust verify ${image}:1`);
    expect(verify).toMatchObject({ status: 1, out: "" });
    expect(verify.err).toMatch(/does not hold: timestamp went back from version 3 to 2\n {2}somebody shows older/);
    const elsewhere = await lab.openMachine("alice").goldseal(`trust verify ${image}:1`);
    expect(elsewhere).toMatchObject({ status: 0 });
    expect(elsewhere.err).toContain(`${image} is seen for the first time here; its root key `);
  });

  it("another root under the same name, and trust data that is gone", async () => {
    const { image, alice } = await signed();
    const { status } = await lab.app().ask("DELETE", `/v2/${image}/_trust/tuf/`, { as: "alice" });
    expect(status).toBe(200);

    expect((await alice.goldseal(`trust verify ${image}:1`)).err).toContain("has no trust data");
    const again = await alice.goldseal(`trust init ${image}`);
    expect(again).toMatchObject({ status: 1 });
    expect(again.err).toContain("but this machine has seen some: it was deleted");
    await lab.openMachine("alice").goldseal(`trust init ${image}`);
    const verify = await alice.goldseal(`trust verify ${image}:1`);
    expect(verify).toMatchObject({ status: 1, out: "" });
    expect(verify.err).toContain("this is not the root that is trusted here: the server's root 1 is another one");
    expect(verify.err).toContain(`remove ${metadata(alice, image)}`);
  });

  it("to begin anew by itself where what it had trusted is damaged", async () => {
    const { image, alice } = await signed();
    const root = join(metadata(alice, image), "root.json");
    await writeFile(root, (await readFile(root)).subarray(0, 100));

    const verify = await alice.goldseal(`trust verify ${image}:1`);

    expect(verify).toMatchObject({ status: 1, out: "" });
    expect(verify.err).toContain(`${root} is damaged: not JSON`);
  });

  it("a timestamp that has ended", async () => {
    const { image, alice } = await signed();
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 15 * 86_400_000 });

    const verify = await alice.goldseal(`trust verify ${image}:1`);

    expect(verify).toMatchObject({ status: 1, out: "" });
    expect(verify.err).toMatch(/timestamp expired at .*\n {2}check this machine's clock/);
  });

  it("a root that is not of the key that was named, whatever it took on trust before", async () => {
    const { image, alice } = await signed();
    const { keys } = JSON.parse((await alice.goldseal(`trust inspect ${image} --json`)).out);

    expect((await alice.goldseal(`trust verify ${image}:1 --root-key ${keys.root[0]}`)).status).toBe(0);
    for (const machine of [alice, lab.openMachine("alice")]) {
      const verify = await machine.goldseal(`trust verify ${image}:1 --root-key ${keys.targets[0]}`);
      expect(verify).toMatchObject({ status: 1, out: "" });
      expect(verify.err).toContain(`root 1 is not of the key ${keys.targets[0]}, but of ${keys.root[0]}`);
    }
  });

  it("a tag that was moved after it was signed, and one that is gone", async () => {
    const { image, repository, alice, digest } = await signed();
    const moved = await pushImage(place(repository), "1", "another");

    const verify = await alice.goldseal(`trust verify ${image}:1`);
    expect(verify).toMatchObject({ status: 1, out: "" });
    expect(verify.err).toContain(`is signed as ${digest}, but the registry holds ${moved} there`);
    expect((await alice.goldseal(`trust verify ${image}@${digest}`)).status).toBe(0);
    await lab.app().ask("DELETE", `/v2/${repository}/manifests/1`, { as: "alice" });
    expect((await alice.goldseal(`trust verify ${image}:1`)).err).toContain("the registry has no such tag");
  });

  it("what a stranger asks of a private repository, and lets anybody verify a public one", async () => {
    const { image, repository } = await signed();
    const stranger = lab.openMachine("nobody");

    const refused = await stranger.goldseal(`trust verify ${image}:1`, { as: undefined });
    expect(refused).toMatchObject({ status: 1, out: "" });
    expect(refused.err).toMatch(
      /does not let you \(nobody is signed in\) read the trust data of .* \(401 UNAUTHORIZED\)\n/,
    );

    await makePublic(repository);
    expect((await stranger.goldseal(`trust verify ${image}:1`, { as: undefined })).status).toBe(0);
  });
});

describe("goldseal trust sign refuses", () => {
  it("a tag that is not there, another digest than it has, and a command without a tag", async () => {
    const { image, alice, digest } = await signed();
    const other = `sha256:${"0".repeat(64)}`;

    expect((await alice.goldseal(`trust sign ${image}:none`)).err).toContain(
      "has no tag none, so there is nothing to sign",
    );
    expect((await alice.goldseal(`trust sign ${image}:1@${other}`)).err).toContain(`is ${digest} now, not ${other}`);
    expect(await alice.goldseal(`trust sign ${image}`)).toMatchObject({ status: 2 });
    expect(await alice.goldseal(`trust sign ${image}:1:2`)).toMatchObject({ status: 2 });
    expect((await alice.goldseal(`trust sign ${HOST}/alice/none:1`)).err).toContain("has no tag 1");
  });

  it("where nothing has been founded, and says how to begin", async () => {
    await pushImage(place("alice/unfounded"), "1");

    const sign = await lab.openMachine("alice").goldseal(`trust sign ${HOST}/alice/unfounded:1`);

    expect(sign).toMatchObject({ status: 1, out: "" });
    expect(sign.err).toContain(`begins with goldseal trust init ${HOST}/alice/unfounded`);
  });

  it("whose keys are listed nowhere, and says who could change that", async () => {
    const { image, alice } = await signed();
    const { keys } = JSON.parse((await alice.goldseal(`trust inspect ${image} --json`)).out);
    const elsewhere = lab.openMachine("alice");

    const sign = await elsewhere.goldseal(`trust sign ${image}:1`);
    expect(sign).toMatchObject({ status: 1, out: "" });
    expect(sign.err).toContain("none of the 0 keys in");
    expect(sign.err).toContain(`whoever holds its repository key ${keys.targets[0]} lets you: docker trust signer add`);

    const init = await elsewhere.goldseal(`trust init ${image}`);
    expect(init).toMatchObject({ status: 1, out: "" });
    expect(init.err).toContain(`its repository key ${keys.targets[0]} is not in ${elsewhere.folder}/trust/private`);
    expect(init.err).toMatch(/it lacks:\n {4}targets\/alice/);
  });

  it("who has no right to, before anything is stored", async () => {
    const { image, repository, alice } = await signed();
    await pushImage(place(repository), "2");
    const bob = lab.openMachine("bob");
    await cp(join(alice.folder, "trust", "private"), join(bob.folder, "trust", "private"), { recursive: true });

    const sign = await bob.goldseal(`trust sign ${image}:1`);

    expect(sign).toMatchObject({ status: 1, out: "" });
    expect(sign.err).toMatch(
      /does not let bob read the manifest 1 of .* \(401\)\n {2}signed in as bob: .*reading needs pull/,
    );
    await makePublic(repository);
    const reader = await bob.goldseal(`trust sign ${image}:2`);
    expect(reader).toMatchObject({ status: 1, out: "" });
    expect(reader.err).toMatch(
      /does not let bob publish trust data of .* \(401 UNAUTHORIZED\)\n {2}signed in as bob: .*publishing needs the right sign/,
    );
    expect((await alice.goldseal(`trust verify ${image}:2`)).err).toContain(":2 is not signed");
    await pushImage(place(`${repository}-new`), "1");
    await makePublic(`${repository}-new`);
    const founder = lab.openMachine("bob");
    const init = await founder.goldseal(`trust init ${image}-new`);
    expect(init.err).toMatch(/does not let bob ask for the snapshot key of .* \(401 UNAUTHORIZED\)/);
    await expect(readdir(founder.folder)).rejects.toThrow("ENOENT");
  });

  it("bytes that are not what their digest says, and verify data that was changed on its way", async () => {
    const { image, repository, alice } = await signed();
    const digest = await pushImage(place(repository), "2");
    const manifests = await startLiar(lab.app().port, /manifests\/sha256:/, (body) =>
      Buffer.concat([body, Buffer.from(" ")]),
    );
    const targets = await startLiar(lab.app().port, /targets\/alice\./, (body) => {
      return Buffer.from(body.toString().replace(/"sha256":"....../, '"sha256":"AAAAAA'));
    });

    const sign = await alice.goldseal(`trust sign ${image}:2`, { port: manifests.port });
    expect(sign).toMatchObject({ status: 1, out: "" });
    expect(sign.err).toContain(`@${digest} cannot be signed: its bytes are sha256:`);
    const verify = await lab.openMachine("alice").goldseal(`trust verify ${image}:1`, { port: targets.port });
    expect(verify).toMatchObject({ status: 1, out: "" });
    expect(verify.err).toContain("sha256 checksum for targets/alice did not match");
    await Promise.all([manifests.close(), targets.close()]);
  });

  it("with a wrong passphrase", async () => {
    const { image, repository, alice } = await signed();
    await pushImage(place(repository), "2");

    const sign = await alice.goldseal(`trust sign ${image}:2`, {
      env: { DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE: "no" },
    });

    expect(sign).toMatchObject({ status: 1, out: "" });
    expect(sign.err).toContain("does not open: DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE is not its passphrase");
    expect((await alice.goldseal(`trust verify ${image}:2`)).status).toBe(1);
  });
});

describe("a password", () => {
  it("goes to no registry that only an image's name speaks of", async () => {
    const requests: string[] = [];
    const server = createServer((incoming, outgoing) => {
      requests.push(`${incoming.url} ${incoming.headers.authorization}`);
      const challenge = 'Bearer realm="http://elsewhere/token",service="x"';
      outgoing.writeHead(incoming.url === "/v2/" ? 401 : 404, { "www-authenticate": challenge }).end();
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const machine = lab.openMachine("alice");
    const image = `${new URL(url).host}/lab/app:1`;

    // Known by its setting only as long as that names it; https, which this server does not speak, else.
    const elsewhere = await machine.goldseal(`trust sign ${image}`, { port: "none" });
    expect(elsewhere).toMatchObject({ status: 2, out: "" });
    expect(elsewhere.err).toContain("nobody is signed in to https://127.0.0.1:");
    expect((await machine.goldseal(`trust verify ${image}`, { port: "none" })).err).toContain(
      "cannot talk to https://",
    );
    expect(requests).toEqual([]);

    const named = await machine.goldseal(`trust sign ${image}`, { port: "none", env: { GOLDSEAL_PUBLIC_URL: url } });
    expect(named.err).toContain("does not let alice sign in");
    // And the token service is asked at that registry, whatever its challenge says.
    expect(requests.map((line) => line.split(" ").slice(0, 2).join(" "))).toEqual([
      "/v2/ undefined",
      "/token?service=x&scope=repository%3Alab%2Fapp%3Apull Basic",
    ]);
    server.close();
  });
});
