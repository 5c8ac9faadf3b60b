import { link, mkdir, mkdtemp, open, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { messageOf } from "./errors.ts";
import { syncFolder } from "./files.ts";

/** Tries in `folder` what keeping a blob needs, and leaves nothing behind. Answers what fails, or undefined. */
export async function probeBlobFolder(folder: string): Promise<string | undefined> {
  let probe: string | undefined;
  try {
    probe = await mkdtemp(join(folder, ".goldseal-probe-"));
    const [first, second, third] = ["a", "b", "c"].map((name) => join(probe ?? folder, name)) as [
      string,
      string,
      string,
    ];
    await writeSynced(first);
    await link(first, second);
    await mkdir(third);
    await rename(first, join(third, "a"));
    await syncFolder(third);
    return undefined;
  } catch (error) {
    return messageOf(error);
  } finally {
    if (probe !== undefined) await rm(probe, { recursive: true, force: true });
  }
}

async function writeSynced(file: string): Promise<void> {
  await using handle = await open(file, "wx", 0o600);
  await handle.writeFile("probe");
  await handle.sync();
}
