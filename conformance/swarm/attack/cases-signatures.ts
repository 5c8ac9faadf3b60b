/** An honest registry, and images that the right people did not sign. */
import { pushIndex } from "../../story/images.ts";
import type { Case, Stage } from "./stage.ts";

const asks = (stage: Stage, digest: string, name: string, who: string, people = "one person"): string =>
  `${digest} must be signed by ${people} of team qa with their own key, and is by ${who}; ` +
  `one of them signs it with: goldseal trust sign ${stage.gun}${name}`;

export const SIGNATURES: readonly Case[] = [
  {
    name: "unsigned: nothing of the repository is",
    run: async (stage) => {
      await stage.push("evil", "1");
      await stage.mustRefuse("1", [403, "unsigned", `nothing of ${stage.gun} is signed`]);
    },
  },
  {
    name: "unsigned: a tag beside one that is signed",
    run: async (stage) => {
      await stage.seen();
      await stage.push("evil", "2");
      await stage.mustRefuse("2", [403, "unsigned", `${stage.gun} has nothing that is signed as the tag 2`]);
    },
  },
  {
    name: "unsigned: by its digest",
    run: async (stage) => {
      await stage.seen();
      const { digest } = await stage.push("evil", "2");
      await stage.mustRefuse(`@${digest}`, [403, "unsigned", `${stage.gun} has nothing that is signed as ${digest}`]);
    },
  },
  {
    name: "signed by the wrong team",
    run: async (stage) => {
      const image = await stage.push("evil", "1");
      await stage.found({ bob: { 1: image } });
      await stage.mustRefuse("1", [403, "unsigned", asks(stage, image.digest, ":1", "nobody")]);
    },
  },
  {
    name: "signed by a stranger's key",
    run: async (stage) => {
      const image = await stage.push("evil", "1");
      await stage.found({ stranger: { 1: image } });
      await stage.mustRefuse("1", [403, "unsigned", asks(stage, image.digest, ":1", "nobody")]);
    },
  },
  {
    name: "threshold not met: one of two",
    run: async (stage) => {
      const image = await stage.push("half", "1");
      await stage.found({ ann: { 1: image } });
      const reason = asks(stage, image.digest, ":1", "ann", "2 people");
      await stage.mustRefuse("1", [403, "unsigned", reason], { environment: "two" });
      await stage.sign({ andy: { 1: image } });
      await stage.mustVerify("1", { environment: "two" });
    },
  },
  {
    name: "threshold not met: one person with two keys",
    run: async (stage) => {
      const image = await stage.push("half", "1");
      await stage.found({ ann: { 1: image }, ann2: { 1: image } });
      const reason = asks(stage, image.digest, ":1", "ann", "2 people");
      await stage.mustRefuse("1", [403, "unsigned", reason], { environment: "two" });
    },
  },
  {
    name: "threshold not met: two people, for two images",
    run: async (stage) => {
      const [one, two] = [await stage.push("one", "1"), await stage.push("two", "2")];
      await stage.found({ ann: { 1: one }, andy: { 1: two } });
      const reason = asks(stage, one.digest, ":1", "ann", "2 people");
      await stage.mustRefuse("1", [403, "unsigned", reason], { environment: "two" });
    },
  },
  {
    name: "revoked by who signed",
    run: async (stage) => {
      const image = await stage.seen();
      await stage.sign({ ann: {} });
      stage.world.honest.delete(image.digest);
      await stage.mustRefuse("1", [403, "unsigned", `${stage.gun} has nothing that is signed as the tag 1`]);
      await stage.mustRefuse(`@${image.digest}`, [
        ...([403, "unsigned"] as const),
        `${stage.gun} has nothing that is signed as ${image.digest}`,
      ]);
    },
  },
  {
    name: "a tag and a digest that is not the tag's",
    run: async (stage) => {
      const image = await stage.seen();
      const { digest } = await stage.push("evil", "2");
      await stage.mustRefuse(`${stage.gun}:1@${digest}`, [
        403,
        "trust",
        `the index ${image.digest} does not list ${digest}`,
      ]);
    },
  },
  {
    name: "tag moved before the order: what was signed runs, not what the registry calls so",
    run: async (stage) => {
      const image = await stage.seen();
      await stage.push("evil", "1");
      await stage.mustDeploy("1", image);
    },
  },
  {
    name: "index child swapped: a platform that the signed index does not list",
    run: async (stage) => {
      const [child, stranger] = [await stage.push("child"), await stage.push("evil")];
      const index = await pushIndex(stage.world.ann, stage.repository, [child], "1");
      await stage.found({ ann: { 1: index } });
      await stage.mustRefuse(`${stage.gun}:1@${stranger.digest}`, [
        403,
        "trust",
        `the index ${index.digest} does not list ${stranger.digest}`,
      ]);
      await pushIndex(stage.world.ann, stage.repository, [stranger], "1");
      await stage.mustDeploy("1", index);
    },
  },
];
