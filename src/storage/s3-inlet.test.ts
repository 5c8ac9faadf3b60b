import { PassThrough } from "node:stream";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { S3Inlet } from "./s3-inlet.ts";

const kib = 1024;

describe("S3Inlet", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] }));
  afterEach(() => void vi.useRealTimers());

  async function takeAll(inlet: S3Inlet): Promise<number> {
    let size = 0;
    for (let chunks = await inlet.take(); chunks.length > 0; chunks = await inlet.take())
      for (const chunk of chunks) size += chunk.length;
    return size;
  }

  it("gives what came, then nothing once all is there", async () => {
    const body = new PassThrough();
    const taken = takeAll(new S3Inlet(body, 1_000));
    for (let i = 0; i < 5; i++) body.write(Buffer.alloc(100 * kib));
    body.end();

    expect(await taken).toBe(500 * kib);
  });

  it("holds no more than a few chunks for a client that reads slowly, however long that takes", async () => {
    const body = new PassThrough({ highWaterMark: 64 * kib });
    const inlet = new S3Inlet(body, 1_000);
    let written = 0;
    while (body.write(Buffer.alloc(32 * kib)) && written < 10_000) {
      written += 32;
      await new Promise(setImmediate);
    }

    expect(written).toBeLessThan(1_000);
    await vi.advanceTimersByTimeAsync(60_000);
    body.end();
    expect(await takeAll(inlet)).toBeGreaterThan(written * kib);
  });

  it("gives a server up that brings less than 256 KiB in its time, byte by byte too", async () => {
    const body = new PassThrough();
    const taken = takeAll(new S3Inlet(body, 1_000));
    taken.catch(() => undefined);
    for (let tenth = 0; tenth < 15; tenth++) {
      if (!body.destroyed) body.write("x");
      await new Promise(setImmediate);
      await vi.advanceTimersByTimeAsync(100);
    }

    await expect(taken).rejects.toThrow("less than 262144 bytes came in 1000 ms");
  });

  it("says that the connection broke off after all that came before", async () => {
    const body = new PassThrough();
    const inlet = new S3Inlet(body, 1_000);
    body.write("all that came");
    await new Promise(setImmediate);
    body.destroy();
    await new Promise(setImmediate);

    expect(String((await inlet.take())[0])).toBe("all that came");
    await expect(inlet.take()).rejects.toThrow("the connection broke off");
  });
});
