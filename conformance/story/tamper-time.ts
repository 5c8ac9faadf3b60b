/** Trust that is lost without a new signature: keys and teams change, time passes. */
import { pushImage } from "./images.ts";
import { ownDockerKey } from "./keys.ts";
import { shortLived } from "./short-lived.ts";
import { found, sign } from "./signing.ts";
import { type Case, mustBeKept, mustBeRecorded, mustRefuse, mustServe } from "./tamper.ts";
import { must } from "./world.ts";

export const REJUDGED: readonly Case[] = [
  {
    name: "re-judged within 5 s of the removal of the key, without anybody reading",
    run: async (stage) => {
      const machine = stage.world.another("quinn");
      await pushImage(machine.direct, stage.repository, "1");
      await ownDockerKey(machine, "laptop");
      await found(stage, machine, "laptop");
      await sign(stage, machine);
      await mustServe(stage, "1");
      await mustBeKept(stage);
      await must(machine.goldseal("key remove laptop"));
      await mustBeRecorded(stage, "refused");
      await mustRefuse(stage, "1", /a signature of quinn is by a key that quinn has no more/);
    },
  },
  {
    name: "re-judged within 5 s of leaving the team",
    run: async (stage) => {
      const { world, quinn, repository } = stage;
      await pushImage(quinn.direct, repository, "1");
      await found(stage, quinn, "quinn");
      await sign(stage, quinn);
      await mustServe(stage, "1");
      await mustBeKept(stage);
      await must(world.people.admin.goldseal("team remove qa testers quinn"));
      await mustBeRecorded(stage, "refused");
      await mustRefuse(stage, "1", /is by nobody/);
      await must(world.people.admin.goldseal("team add qa testers quinn"));
      await mustBeRecorded(stage, "allowed");
      await mustServe(stage, "1");
    },
  },
];

/** Last: the server's clock is ahead from then on. */
export const EXPIRED: Case = {
  name: "expired, which is on record though nobody asks",
  run: async (stage) => {
    const { quinn, repository, world } = stage;
    const image = await pushImage(quinn.direct, repository, "1");
    // Nothing that ends sooner is taken.
    await shortLived(stage, image, 3700);
    await mustServe(stage, "1");
    await mustBeKept(stage);
    await world.restartLater(3800);
    // All that there is becomes due at once.
    await mustBeRecorded(stage, "refused", 60);
    await mustRefuse(stage, "1", /expired|is by nobody/);
  },
};
