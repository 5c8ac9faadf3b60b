/** Who may sign without pushing, and what goldseal refuses to believe. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Stage } from "./own-client-stage.ts";
import type { Step } from "./script.ts";
import { BASE_IMAGE } from "./world.ts";

/** docker pushes an image before it signs it. */
export function signOnlySteps(stage: Stage): Step[] {
  const { own, people } = stage;
  const { alice, sue } = people;
  return [
    { name: "docker tag for an unsigned tag", run: () => stage.docker(alice, `tag ${BASE_IMAGE} ${own}:unsigned`) },
    { name: "alice pushes it", run: () => stage.docker(alice, `push ${own}:unsigned`) },
    { name: "sue, who may only sign, makes her key", run: () => stage.docker(sue, "trust key generate sue") },
    { name: "she is added", run: () => stage.docker(alice, `trust signer add --key sue.pub sue ${own}`) },
    {
      name: "she signs with docker what is there, which pushes nothing new",
      run: () => stage.docker(sue, `trust sign ${own}:unsigned`),
      prints: /Successfully signed/,
    },
    { name: "docker tag for a new tag", run: () => stage.docker(sue, `tag ${BASE_IMAGE} ${own}:fresh`) },
    {
      name: "she cannot sign with docker what would be pushed, and hears what to use",
      run: () => stage.docker(sue, `trust sign ${own}:fresh`),
      fails: true,
      prints: /use goldseal trust sign \S+:fresh/,
    },
    {
      name: "she signs the index with goldseal",
      run: () => stage.goldseal(sue, `trust sign ${own}:other`),
      prints: /targets\/sue +key/,
    },
  ];
}

export function attackSteps(stage: Stage): Step[] {
  const { own, dockers, folder, people, replay } = stage;
  const { alice, bob, sue } = people;
  const ahead = join(folder, "ahead.mjs");
  writeFileSync(
    ahead,
    "const Real = Date; const ahead = 15 * 86_400_000;\n" +
      "globalThis.Date = class extends Real {\n" +
      "  constructor(...of) { super(...(of.length === 0 ? [Real.now() + ahead] : of)); }\n" +
      "  static now() { return Real.now() + ahead; }\n};\n",
  );
  return [
    {
      name: "goldseal verifies over a way that remembers",
      run: () => stage.goldseal(bob, `trust verify ${own}:other`, { url: replay.url }),
    },
    { name: "a newer state is published", run: () => stage.goldseal(alice, `trust sign ${own}:unsigned`) },
    { name: "and seen", run: () => stage.goldseal(bob, `trust verify ${own}:unsigned`) },
    {
      name: "goldseal refuses the older one",
      run: () => {
        for (const ending of ["/timestamp.json", "/root.json"]) replay.freeze(ending);
        return stage.goldseal(bob, `trust verify ${own}:other`, { url: replay.url });
      },
      fails: true,
      prints: /timestamp went back from version \d+ to \d+/,
    },
    {
      name: "goldseal refuses a timestamp that has ended",
      run: () => stage.goldseal(bob, `trust verify ${own}:other`, { env: { NODE_OPTIONS: `--import=${ahead}` } }),
      fails: true,
      prints: /timestamp expired at/,
    },
    {
      name: "trust data is deleted and founded anew by somebody else",
      run: async () => {
        const deleted = await bob.notary(["delete", "--remote", dockers]);
        return deleted.status === 0 ? stage.goldseal(sue, `trust init ${dockers}`) : deleted;
      },
    },
    {
      name: "goldseal refuses the other root",
      run: () => stage.goldseal(bob, `trust verify ${dockers}:1`),
      fails: true,
      prints: /this is not the root that is trusted here/,
    },
  ];
}
