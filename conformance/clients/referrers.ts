/** Artifacts that point at an image: attached by one client, found by another. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { getTool, missingTools, mustRun } from "../harness/tools.ts";
import { clientEnv } from "./layout-clients.ts";
import { TAG } from "./layouts.ts";
import { ANN, type World } from "./world.ts";

const SBOM = "application/vnd.goldseal.test.sbom";
const SCAN = "application/vnd.goldseal.test.scan";

export async function checkReferrers(world: World): Promise<void> {
  const { report, server } = world;
  const layout = world.layouts[0];
  const missing = missingTools(["oras", "regctl"]);
  if (missing.length || !layout) {
    report.skip("referrers", `${missing.join(", ")} not found`);
    return;
  }
  const env = clientEnv(world, "referrers");
  const folder = world.folder("referrers");
  const image = `${server.host}/ann/referrers:v1`;
  const [oras, regctl] = ["oras", "regctl"].map(
    (name) => (args: readonly string[], input?: string) =>
      mustRun(getTool(name), args, { env, cwd: folder, ...(input === undefined ? {} : { input }) }),
  );
  if (!oras || !regctl) return;

  await report.check("oras: attach an artifact to an image", async () => {
    await oras(["login", server.host, "-u", ANN.name, "--password-stdin"], ANN.password);
    await regctl(["registry", "login", server.host, "-u", ANN.name, "--pass-stdin"], ANN.password);
    await oras(["cp", "--from-oci-layout", `${layout.path}:${TAG}`, image]);
    writeFileSync(join(folder, "sbom.json"), '{"made":"on the spot"}');
    await oras(["attach", "--artifact-type", SBOM, image, "sbom.json:application/json"]);
  });
  await report.check("regctl: put an artifact whose subject is the image", async () => {
    await regctl(["artifact", "put", "--subject", image, "--artifact-type", SCAN], "no findings");
  });
  await report.check("oras and regctl: both find both artifacts, and one when they filter", async () => {
    assertTypes(await oras(["discover", "--format", "json", image]), [SBOM, SCAN]);
    assertTypes(await regctl(["artifact", "list", "--format", "body", image]), [SBOM, SCAN]);
    assertTypes(await oras(["discover", "--format", "json", "--artifact-type", SBOM, image]), [SBOM]);
  });
  await report.check("the registry, asked directly, lists both and says which filter it applied", async () => {
    const path = `/v2/ann/referrers/referrers/${layout.digest}`;
    assertTypes((await world.direct.ask(path)).body.toString(), [SBOM, SCAN]);
    const { headers, body } = await world.direct.ask(`${path}?artifactType=${encodeURIComponent(SCAN)}`);
    assertTypes(body.toString(), [SCAN]);
    if (headers["oci-filters-applied"] !== "artifactType") throw new Error(`${headers["oci-filters-applied"]}`);
  });
}

function assertTypes(text: string, wanted: readonly string[]): void {
  for (const type of [SBOM, SCAN]) {
    if (text.includes(type) !== wanted.includes(type)) throw new Error(`${type}: wanted ${wanted}, got\n${text}`);
  }
}
