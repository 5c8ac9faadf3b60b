/** The policy document in the database, and the bridge's clock. */
import { makeKey } from "../signing.ts";
import type { Case, Refusal } from "./stage.ts";
import type { Document } from "./world.ts";

/** @param envelope what the registry shows from now on */
const shown = (
  name: string,
  envelope: (world: Parameters<Case["run"]>[0]["world"]) => Promise<string> | string,
  expected: (version: number) => Refusal,
): Case => ({
  name: `the policy rewritten: ${name}`,
  run: async (stage) => {
    await stage.seen();
    const { thief, policyVersion } = stage.world;
    const where = "where id = (select max(id) from bridge_policies)";
    const [row] = await thief.query(`select envelope from bridge_policies ${where}`);
    const text = await envelope(stage.world);
    await thief.query(`update bridge_policies set envelope = $1 ${where}`, [Buffer.from(text)]);
    try {
      await stage.mustRefuse("1", expected(policyVersion));
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
  shown(
    "by its thief's key",
    (world) => world.policy(mine, makeKey()),
    () => [403, "policy", "TODO"],
  ),
  shown(
    "the operator's key signed it",
    (world) => world.policy(mine, world.operator),
    () => [403, "policy", "TODO"],
  ),
  shown(
    "other words under the officer's signature",
    (world) => {
      const [signed, other] = [JSON.parse(world.policy()), JSON.parse(world.policy(mine))];
      return JSON.stringify({ ...other, signatures: signed.signatures });
    },
    () => [403, "policy", "TODO"],
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
        await stage.mustRefuse("1", [403, "policy", "TODO"]);
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
        await stage.mustRefuse("1", [403, "policy", "TODO"]);
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
        await stage.mustRefuse("1", [503, "clock", "TODO"], { lifeSeconds: 240 - 86_400 });
      } finally {
        await stage.world.bridge.stop();
        await stage.world.startBridge();
      }
    },
  },
];
