/**
 * `npm run promotion [-- --promotions N --kills N --seed S]`: how long a promotion of 40 layers takes and what it writes; then
 * so many promotions at once, and pushes that a policy promotes, while the server and its PostgreSQL are killed at named
 * places and at random moments: tags, trust data, statements, rows and images agree afterwards, nothing acknowledged is lost.
 */
import { randomBytes } from "node:crypto";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Report } from "../harness/report.ts";
import { promoteUnderKills } from "./killed.ts";
import { promoteLarge } from "./quick.ts";

const { values } = parseArgs({
  options: {
    promotions: { type: "string", default: "100" },
    kills: { type: "string", default: "4" },
    seed: { type: "string", default: randomBytes(4).toString("hex") },
  },
});
const report = new Report();
process.exitCode = await main();

async function main(): Promise<number> {
  await report.check(
    "a promotion of 40 layers and two platforms takes less than 200 ms and writes no blob",
    async () => {
      console.log(await promoteLarge());
    },
  );
  const { seed } = values;
  const folder = mkdtempSync(join(tmpdir(), "goldseal-promotion-"));
  // PostgreSQL runs as nobody when we are root, and must pass.
  chmodSync(folder, 0o711);
  console.log(`promotion: seed ${seed}, data in ${folder}`);
  const isGood = await report.check("promotions at once, with kills: nothing is torn or lost", async () => {
    const bounds = { promotions: Number(values.promotions), kills: Number(values.kills), seed };
    const { acknowledged, done, kills, reached, followed } = await promoteUnderKills(folder, bounds);
    console.log(
      `promotion: seed ${seed}: ${acknowledged} acknowledged, ${done} done, ${followed} by a policy, ${kills} kills (${[...reached].join(", ")}), 0 torn, 0 lost`,
    );
  });
  if (isGood) rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  return report.finish();
}
