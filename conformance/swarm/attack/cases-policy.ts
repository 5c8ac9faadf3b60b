/** The policy document in the database, and the bridge's clock. */
import { makeKey } from "../signing.ts";
import type { Case, Refusal } from "./stage.ts";
import type { Document } from "./world.ts";

const TIME = "\\d{4}-\\d\\d-\\d\\dT[\\d:.]{12}Z";
const CLOCK = new RegExp(
  `^clock-or-freeze: this machine's clock says ${TIME}, and it was ${TIME} already; set it right \\(if it was ahead then, remove /.*/clock\\)$`,
);
const UNSIGNED = "signed by 0 of the keys that count, 1 must";

/** @param envelope what the registry shows from now on */
const shown = (
  name: string,
  envelope: (world: Parameters<Case["run"]>[0]["world"]) => Promise<string> | string,
  expected: Refusal,
): Case => ({
  name: `the policy rewritten: ${name}`,
  run: async (stage) => {
    await stage.seen();
    const { thief } = stage.world;
    const where = "where id = (select max(id) from bridge_policies)";
    const [row] = await thief.query(`select envelope from bridge_policies ${where}`);
    const text = await envelope(stage.world);
    await thief.query(`update bridge_policies set envelope = $1 ${where}`, [Buffer.from(text)]);
    try {
      await stage.mustRefuse("1", expected);
    } finally {
      await thief.query(`update bridge_policies set envelope = $1 ${where}`, [row?.envelope]);
    }
    await stage.mustVerify("1");
  },
});

/** What an attacker would ask for: nobody's signature but their own. */
const mine = (document: Document): void => {
  document.version += 1;
  document.teams.qa = ["bob"];
};

export const POLICY: readonly Case[] = [
  shown("by its thief's key", (world) => world.policy(mine, makeKey()), [403, "policy", UNSIGNED]),
  shown("the operator's key signed it", (world) => world.policy(mine, world.operator), [403, "policy", UNSIGNED]),
  shown(
    "other words under the officer's signature",
    (world) => {
      const [signed, other] = [JSON.parse(world.policy()), JSON.parse(world.policy(mine))];
      return JSON.stringify({ ...other, signatures: signed.signatures });
    },
    [403, "policy", UNSIGNED],
  ),
  {
    name: "the policy rolled back: the version before",
    run: async (stage) => {
      const old = stage.world.policy((document) => {
        document.teams.qa = ["ann", "andy", "bob"];
      });
      await stage.world.setPolicy();
      await stage.seen();
      const { thief } = stage.world;
      const where = "where id = (select max(id) from bridge_policies)";
      const [row] = await thief.query(`select envelope from bridge_policies ${where}`);
      await thief.query(`update bridge_policies set envelope = $1 ${where}`, [Buffer.from(old)]);
      try {
        const now = stage.world.policyVersion;
        await stage.mustRefuse("1", [
          403,
          "policy",
          `policy version ${now - 1} after version ${now} has been in force`,
        ]);
      } finally {
        await thief.query(`update bridge_policies set envelope = $1 ${where}`, [row?.envelope]);
      }
    },
  },
  {
    name: "the policy has expired",
    run: async (stage) => {
      await stage.seen();
      await stage.world.bridge.stop();
      await stage.world.startBridge(2 * 86_400);
      try {
        const reason = `the policy expired at ${stage.world.policyExpires}: it names no operators now`;
        await stage.mustRefuse("1", [403, "policy", reason]);
      } finally {
        await stage.world.bridge.stop();
        await stage.world.startBridge();
      }
    },
  },
  {
    name: "frozen: the clock set back by a day",
    run: async (stage) => {
      await stage.seen();
      await stage.world.bridge.stop();
      await stage.world.startBridge(-86_400);
      try {
        await stage.mustRefuse("1", [503, "clock", CLOCK], { lifeSeconds: 240 - 86_400 });
      } finally {
        await stage.world.bridge.stop();
        await stage.world.startBridge();
      }
    },
  },
];
