/**
 * What the server signs as part of a push, before docker, notary, crane and skopeo: in trust data that it founded, in the same
 * after people took it over, and in a repository of docker's own making whose owner lets the server sign.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { TAG } from "../clients/layouts.ts";
import type { RunResult } from "../harness/tools.ts";
import { DCT, makeIndex, signed } from "./own-client.ts";
import { type OwnClient, Stage } from "./own-client-stage.ts";
import { startReplay } from "./replay.ts";
import { runSteps, type Step } from "./script.ts";
import { BASE_IMAGE, openRoom, PRIVATE_ORG } from "./world.ts";

export async function runAutoSign(options: OwnClient): Promise<void> {
  const { report, server, docker } = options;
  const room = openRoom(server);
  const replay = await startReplay(server);
  try {
    const stage = new Stage(options, room, await makeIndex(room), replay);
    const image = `${server.host}/${PRIVATE_ORG}/auto-${docker}`;
    const steps = [...foundedSteps(stage, image), ...takenOverSteps(stage, image), ...ownersSteps(stage)];
    await runSteps(report, `auto-sign, ${docker}`, steps);
  } finally {
    await replay.stop();
    room.remove();
  }
}

const nameOf = (image: string): string => image.slice(image.indexOf("/") + 1);

function foundedSteps(stage: Stage, image: string): Step[] {
  const { alice, bob } = stage.people;
  const { path, digest } = stage.layout;
  const ways = ["--all", "--preserve-digests", "--dest-tls-verify=false"];
  const skopeo = ["copy", ...ways, `oci:${path}:${TAG}`, `docker://${image}:copied`];
  return [
    { name: "goldseal repository create", run: () => stage.goldseal(alice, `repository create ${nameOf(image)}`) },
    { name: "goldseal auto-sign set", run: () => stage.goldseal(alice, `auto-sign set ${nameOf(image)} all *`) },
    { name: "docker tag", run: () => stage.docker(alice, `tag ${BASE_IMAGE} ${image}:1`) },
    { name: "docker push, without content trust", run: () => stage.docker(alice, `push ${image}:1`) },
    {
      name: "docker trust inspect shows who signed",
      run: () => stage.docker(bob, `trust inspect ${image}:1`),
      prints: /"Signers": \[\s+"goldseal-auto"\s+\]/,
    },
    {
      name: "docker pull with content trust",
      run: () => stage.docker(bob, `pull ${image}:1`, DCT),
      prints: /Pull \(1 of 1\)/,
    },
    { name: "crane pushes an index", run: () => alice.run("crane", ["push", path, `${image}:multi`]) },
    {
      name: "docker trust inspect agrees on the index",
      run: () => stage.docker(bob, `trust inspect ${image}:multi`),
      prints: signed(digest, "goldseal-auto"),
    },
    { name: "docker pulls the index with content trust", run: () => stage.docker(bob, `pull ${image}:multi`, DCT) },
    { name: "skopeo copies it to another tag", run: () => alice.run("skopeo", skopeo) },
    {
      name: "notary list shows them all",
      run: () => bob.notary(["list", image]),
      prints: /1\s[\s\S]*copied\s+[0-9a-f]{64}[\s\S]*multi\s+[0-9a-f]{64}/,
    },
    {
      name: "goldseal trust verify agrees",
      run: () => stage.goldseal(bob, `trust verify ${image}:copied`),
      prints: new RegExp(`^${image}@${digest}\n`),
    },
    { name: "crane deletes a tag", run: () => alice.run("crane", ["delete", `${image}:copied`]) },
    {
      name: "docker sees that it is signed no more",
      run: () => stage.docker(bob, `pull ${image}:copied`, DCT),
      fails: true,
      prints: /No valid trust data for copied/,
    },
  ];
}

/** bob trusted the server's root: his docker has to follow to alice's. */
function takenOverSteps(stage: Stage, image: string): Step[] {
  const { alice, bob } = stage.people;
  return [
    {
      name: "goldseal trust init takes over",
      run: () => stage.goldseal(alice, `trust init ${image}`),
      prints: /^took over the trust data of .*, which the server had founded\n/,
    },
    { name: "docker pulls what was signed before", run: () => stage.docker(bob, `pull ${image}:1`, DCT) },
    { name: "docker tag, for alice", run: () => stage.docker(alice, `tag ${BASE_IMAGE} ${image}:2`) },
    { name: "docker trust sign by the new owner", run: () => stage.docker(alice, `trust sign ${image}:2`) },
    {
      name: "docker trust inspect shows both",
      run: () => stage.docker(bob, `trust inspect ${image}:2`),
      prints: /"Signers": \[\s+"alice",\s+"goldseal-auto"\s+\]|"Signers": \[\s+"goldseal-auto",\s+"alice"\s+\]/,
    },
    { name: "docker pulls it with content trust", run: () => stage.docker(bob, `pull ${image}:2`, DCT) },
    { name: "bob makes his key", run: () => stage.docker(bob, "trust key generate bob") },
    {
      name: "docker signer add with the new repository key",
      run: () => stage.docker(alice, `trust signer add --key bob.pub bob ${image}`),
    },
    {
      name: "notary rotates the new root key",
      run: () =>
        alice.notary(["key", "rotate", image, "root"], {
          trustDir: join(alice.home, ".docker", "trust"),
          input: "y\n".repeat(20),
        }),
    },
    { name: "docker tag, for bob", run: () => stage.docker(bob, `tag ${BASE_IMAGE} ${image}:3`) },
    { name: "docker push with content trust, under the rule", run: () => stage.docker(bob, `push ${image}:3`, DCT) },
    { name: "docker pulls that too", run: () => stage.docker(alice, `pull ${image}:3`, DCT) },
  ];
}

function ownersSteps(stage: Stage): Step[] {
  const { alice, bob } = stage.people;
  const image = stage.dockers;
  const ask = (): Promise<RunResult> => stage.goldseal(alice, `auto-sign set ${nameOf(image)} all *`);
  const writeKey = async (): Promise<RunResult> => {
    const result = await stage.goldseal(alice, `org signer ${PRIVATE_ORG} goldseal-auto`);
    writeFileSync(join(stage.folder, "auto.pub"), result.stdout);
    return result;
  };
  return [
    { name: "docker makes alice's key", run: () => stage.docker(alice, "trust key generate carol") },
    {
      name: "docker founds a repository of its own",
      run: () => stage.docker(alice, `trust signer add --key carol.pub carol ${image}`),
    },
    { name: "a rule is refused there", run: ask, fails: true, prints: /does not let this server sign there/ },
    { name: "goldseal org signer", run: writeKey, prints: /^-----BEGIN PUBLIC KEY-----\n/ },
    {
      name: "docker signer add lets the server sign, as the refusal said",
      run: () => stage.docker(alice, `trust signer add --key auto.pub goldseal-auto ${image}`),
    },
    { name: "the rule is taken", run: ask },
    { name: "docker tag there", run: () => stage.docker(alice, `tag ${BASE_IMAGE} ${image}:1`) },
    { name: "docker push there", run: () => stage.docker(alice, `push ${image}:1`) },
    {
      name: "docker trust inspect shows the server there",
      run: () => stage.docker(bob, `trust inspect ${image}:1`),
      prints: /"Signers": \[\s+"goldseal-auto"\s+\]/,
    },
    { name: "docker pulls it there with content trust", run: () => stage.docker(bob, `pull ${image}:1`, DCT) },
  ];
}
