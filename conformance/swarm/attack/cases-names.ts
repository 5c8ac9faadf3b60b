/** Names that look like an image of ours, and places where nothing is known of one. */
import type { Case, Stage } from "./stage.ts";

const other = (stage: Stage, text: string): readonly [number, string, string] => [
  ...([400, "image"] as const),
  `"${text}" is no image of ${stage.world.host}`,
];

const names: readonly (readonly [what: string, name: (stage: Stage) => string])[] = [
  ["other host", (stage) => `evil.example.com/${stage.repository}:1`],
  ["other host: none, which is docker.io", (stage) => `${stage.repository}:1`],
  ["other host: ours in front of another", (stage) => `${stage.world.host}@evil.example.com/${stage.repository}:1`],
  ["other host: ours with another port", (stage) => `${stage.world.host}0/${stage.repository}:1`],
];

export const NAMES: readonly Case[] = [
  ...names.map(([name, make]) => ({
    name,
    run: async (stage: Stage) => {
      await stage.seen();
      await stage.mustRefuse(make(stage), other(stage, make(stage)));
    },
  })),
  {
    name: "an image's id on the engine",
    run: async (stage) => {
      const { digest } = await stage.seen();
      await stage.mustRefuse(digest, other(stage, digest));
    },
  },
  {
    name: "a repository that the environment does not run",
    run: (stage) =>
      stage.mustRefuse(`${stage.world.host}/bob/app:1`, [
        403,
        "policy",
        "bob/app is none of the images of prod: ann/*, else/*",
      ]),
  },
  {
    name: "an environment that there is not",
    run: async (stage) => {
      await stage.seen();
      await stage.mustRefuse("1", [403, "policy", "the policy has no environment nowhere"], { environment: "nowhere" });
    },
  },
  {
    name: "a collection that no pin speaks for",
    run: (stage) =>
      stage.mustRefuse(`${stage.world.host}/else/app:1`, [
        ...([403, "pin"] as const),
        "no pin speaks for else/app: add the id of its root key to pins",
      ]),
  },
];
