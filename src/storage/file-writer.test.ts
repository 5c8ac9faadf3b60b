import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FileWriter } from "./file-writer.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "goldseal-writer-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function writeFile(name: string, content: Buffer, chunkBytes: number): Promise<FileWriter> {
  const writer = await FileWriter.create(join(folder, name));
  for (let at = 0; at < content.length; at += chunkBytes) {
    // The chunk is the caller's again: it is overwritten here as a parser's buffer would be.
    const chunk = Buffer.from(content.subarray(at, at + chunkBytes));
    await writer.write(chunk);
    chunk.fill(0);
  }
  await writer.sync();
  await writer.close();
  return writer;
}

describe("FileWriter", () => {
  it.each([1, 4_095, 65_536, 524_288, 1_048_577, 3_000_000])(
    "keeps every byte of chunks of %i bytes",
    async (bytes) => {
      const content = randomBytes(bytes === 1 ? 10_000 : 2_500_001);

      const { size } = await writeFile(`chunks-${bytes}`, content, bytes);

      expect(size).toBe(content.length);
      expect((await readFile(join(folder, `chunks-${bytes}`))).equals(content)).toBe(true);
    },
  );

  it("keeps files apart that are written at the same time with blocks of files before", async () => {
    const contents = Array.from({ length: 50 }, (_, index) => randomBytes(1_200_000 + index));

    await Promise.all(contents.map((content, index) => writeFile(`many-${index}`, content, 32_768)));

    for (const [index, content] of contents.entries()) {
      expect((await readFile(join(folder, `many-${index}`))).equals(content)).toBe(true);
    }
  });
});
