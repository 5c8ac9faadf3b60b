import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Pace } from "./pace.ts";

describe("the pace of a collection", () => {
  afterEach(() => void vi.useRealTimers());

  let rests: number[] = [];
  const rest = async (ms: number): Promise<void> => void rests.push(ms);
  beforeEach(() => {
    vi.useFakeTimers();
    rests = [];
  });
  const step = (pace: Pace, ms: number) => pace.step(async () => void vi.advanceTimersByTime(ms));

  it("takes more in a step while steps are short, to the most that it may", async () => {
    const pace = new Pace({ least: 10, most: 35, rest });

    const sizes = [];
    for (let i = 0; i < 3; i++) {
      await step(pace, 1);
      sizes.push(pace.size);
    }

    expect(sizes).toEqual([20, 35, 35]);
  });

  it("takes less after a step that was long, at once, but never less than the least", async () => {
    const pace = new Pace({ least: 10, most: 1_000, rest });
    for (let i = 0; i < 7; i++) await step(pace, 1);

    await step(pace, 100);
    expect(pace.size).toBe(200);
    await step(pace, 60_000);

    expect(pace.size).toBe(10);
  });

  it("rests before the next step as long as one took, but neither after short ones nor for long", async () => {
    const pace = new Pace({ least: 1, most: 1, rest });

    for (const ms of [4, 12, 5_000]) await step(pace, ms);
    expect(rests).toEqual([12]);
    await step(pace, 1);

    expect(rests).toEqual([12, 20]);
  });

  it("hands on what a step threw", async () => {
    const failing = new Pace({ least: 1, most: 1, rest }).step(() => Promise.reject(new Error("no")));

    await expect(failing).rejects.toThrow("no");
  });
});
