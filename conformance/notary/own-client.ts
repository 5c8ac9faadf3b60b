/**
 * `goldseal trust` beside docker and notary: each signs with the other's keys and in the other's repositories, and all agree
 * on an OCI index, which docker cannot sign.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Layout, tarOf, writeIndex } from "../clients/layouts.ts";
import { attackSteps, signOnlySteps } from "./own-client-refusals.ts";
import { type OwnClient, Stage } from "./own-client-stage.ts";
import { startReplay } from "./replay.ts";
import { runSteps, type Step } from "./script.ts";
import { BASE_IMAGE, openRoom, type Room } from "./world.ts";

export const DCT = { env: { DOCKER_CONTENT_TRUST: "1" } };

export async function runOwnClient(options: OwnClient): Promise<void> {
  const { report, server, docker } = options;
  const room = openRoom(server);
  const replay = await startReplay(server);
  try {
    const stage = new Stage(options, room, await makeIndex(room), replay);
    const steps = [...ownSteps(stage), ...keySteps(stage), ...dockersRepositorySteps(stage)];
    await runSteps(report, `goldseal trust, ${docker}`, [...steps, ...signOnlySteps(stage), ...attackSteps(stage)]);
  } finally {
    await replay.stop();
    room.remove();
  }
}

/** An index of two platforms, each with a file. */
export async function makeIndex({ folder }: Room): Promise<Layout> {
  const tars = [];
  for (const name of ["one", "two"]) {
    mkdirSync(join(folder, name));
    writeFileSync(join(folder, name, "readme.txt"), `platform ${name}\n`);
    tars.push(await tarOf(join(folder, name), join(folder, `${name}.tar`)));
  }
  const [one, two] = tars as [Buffer, Buffer];
  return writeIndex(join(folder, "layout"), "index", one, two);
}

/** The image's digest and who signed it, as `docker trust inspect` prints them. */
export const signed = (digest: string, signer: string): RegExp =>
  new RegExp(`"Digest": "${digest.replace("sha256:", "")}",\\s+"Signers": \\[\\s+"${signer}"\\s+\\]`);

function ownSteps(stage: Stage): Step[] {
  const { own, layout, people } = stage;
  const { alice, bob } = people;
  const { digest } = layout;
  const hex = digest.replace("sha256:", "");
  return [
    { name: "crane pushes an OCI index", run: () => alice.run("crane", ["push", layout.path, `${own}:multi`]) },
    {
      name: "oras copies it to another tag",
      run: () => alice.run("oras", ["cp", `${own}:multi`, `${own}:other`]),
    },
    {
      name: "goldseal trust init",
      run: () => stage.goldseal(alice, `trust init ${own}`),
      prints: /^founded the trust/,
    },
    {
      name: "goldseal trust sign, of the index",
      run: () => stage.goldseal(alice, `trust sign ${own}:multi`),
      prints: new RegExp(`${digest} \\(application/vnd.oci.image.index`),
    },
    {
      name: "docker trust inspect agrees",
      run: () => stage.docker(alice, `trust inspect ${own}:multi`),
      prints: signed(digest, "alice"),
    },
    {
      name: "docker pull with content trust agrees",
      run: () => stage.docker(bob, `pull ${own}:multi`, DCT),
      prints: new RegExp(`Pull \\(1 of 1\\): ${own}:multi@${digest}`),
    },
    { name: "notary lookup agrees", run: () => bob.notary(["lookup", own, "multi"]), prints: new RegExp(hex) },
    {
      name: "notary list agrees",
      run: () => bob.notary(["list", own]),
      prints: new RegExp(`multi\\s+${hex}\\s+\\d+\\s+targets/(alice|releases)`),
    },
    {
      name: "goldseal trust verify agrees, at another machine",
      run: () => stage.goldseal(bob, `trust verify ${own}:multi`),
      prints: new RegExp(`^${own}@${digest}\n`),
    },
    {
      name: "docker does not get what is not signed",
      run: () => stage.docker(bob, `pull ${own}:other`, DCT),
      fails: true,
      prints: /No valid trust data for other/,
    },
  ];
}

/** docker uses the keys that goldseal made, and the other way round. */
function keySteps(stage: Stage): Step[] {
  const { own, layout, people } = stage;
  const { alice, bob } = people;
  return [
    { name: "docker makes bob's key", run: () => stage.docker(bob, "trust key generate bob") },
    {
      name: "docker signer add with goldseal's repository key",
      run: () => stage.docker(alice, `trust signer add --key bob.pub bob ${own}`),
    },
    {
      name: "goldseal trust sign with docker's key, as a delegate",
      run: () => stage.goldseal(bob, `trust sign ${own}:other`),
      prints: /targets\/releases +key [\s\S]*targets\/bob +key/,
    },
    {
      name: "docker trust inspect shows the delegate",
      run: () => stage.docker(alice, `trust inspect ${own}:other`),
      prints: signed(layout.digest, "bob"),
    },
    { name: "docker pulls what the delegate signed", run: () => stage.docker(alice, `pull ${own}:other`, DCT) },
    { name: "docker tag", run: () => stage.docker(alice, `tag ${BASE_IMAGE} ${own}:plain`) },
    { name: "docker trust sign with goldseal's key", run: () => stage.docker(alice, `trust sign ${own}:plain`) },
    {
      name: "goldseal trust inspect shows who signed",
      run: () => stage.goldseal(bob, `trust inspect ${own}:plain`),
      prints: /^plain {2}sha256:[0-9a-f]{64} {2}alice {2}yes/m,
    },
    {
      name: "goldseal trust verify of what docker signed",
      run: () => stage.goldseal(bob, `trust verify ${own}:plain`),
    },
    {
      name: "goldseal trust revoke",
      run: () => stage.goldseal(alice, `trust revoke ${own}:multi`),
      prints: /^revoked .* in targets\/alice\nrevoked .* in targets\/releases\n/,
    },
    {
      name: "docker sees that it is revoked",
      run: () => stage.docker(bob, `pull ${own}:multi`, DCT),
      fails: true,
      prints: /No valid trust data for multi/,
    },
    {
      name: "goldseal trust verify sees it too",
      run: () => stage.goldseal(bob, `trust verify ${own}:multi`),
      fails: true,
      prints: /:multi is not signed/,
    },
    {
      name: "docker revokes, and goldseal sees it",
      run: async () => {
        const revoked = await stage.docker(alice, `trust revoke ${own}:plain`);
        return revoked.status === 0 ? stage.goldseal(bob, `trust verify ${own}:plain`) : { ...revoked, status: 0 };
      },
      fails: true,
      prints: /:plain is not signed/,
    },
  ];
}

function dockersRepositorySteps(stage: Stage): Step[] {
  const { dockers, layout, people } = stage;
  const { alice, bob } = people;
  return [
    { name: "crane pushes the index elsewhere", run: () => alice.run("crane", ["push", layout.path, `${dockers}:1`]) },
    { name: "docker founds", run: () => stage.docker(bob, `trust signer add --key bob.pub bob ${dockers}`) },
    { name: "docker makes carol's key", run: () => stage.docker(alice, "trust key generate carol") },
    {
      name: "docker adds a delegate",
      run: () => stage.docker(bob, `trust signer add --key carol.pub carol ${dockers}`),
    },
    {
      name: "the delegate signs with goldseal",
      run: () => stage.goldseal(alice, `trust sign ${dockers}:1`),
      prints: /targets\/carol +key/,
    },
    {
      name: "docker trust inspect agrees there",
      run: () => stage.docker(bob, `trust inspect ${dockers}:1`),
      prints: signed(layout.digest, "carol"),
    },
    { name: "docker pulls it by content trust", run: () => stage.docker(bob, `pull ${dockers}:1`, DCT) },
    {
      name: "goldseal trust init adds what is missing with docker's repository key",
      run: () => stage.goldseal(bob, `trust init ${dockers} --signer dan`),
      prints: /^ {2}targets\/dan {2}[0-9a-f]{64}$/m,
    },
    {
      name: "docker takes that signer",
      run: () => stage.docker(alice, `trust inspect ${dockers}`),
      prints: /"Name": "dan"/,
    },
  ];
}
