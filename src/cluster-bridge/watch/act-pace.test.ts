import { describe, expect, it } from "vitest";
import { ActPace } from "./act-pace.ts";

const at = (seconds: number): Date => new Date(Date.UTC(2026, 10, 22) + seconds * 1000);

describe("the pace of acts on one thing", () => {
  it("is free for three in ten minutes, then a minute apart, and free again when ten minutes are over", () => {
    const pace = new ActPace();
    for (const seconds of [0, 1, 2]) {
      expect(pace.mayAct("service web", at(seconds))).toBe(true);
      pace.note("service web", at(seconds));
    }

    expect(pace.mayAct("service web", at(61))).toBe(false);
    expect(pace.mayAct("service api", at(61))).toBe(true);
    expect(pace.mayAct("service web", at(62))).toBe(true);
    pace.note("service web", at(62));
    expect(pace.mayAct("service web", at(121))).toBe(false);
    expect(pace.mayAct("service web", at(601))).toBe(true);
  });

  it("keeps nothing of what was acted on longer ago", () => {
    const pace = new ActPace();
    for (let service = 0; service < 1000; service++) pace.note(`service job-${service}`, at(service));

    expect(pace.size).toBe(600);
    pace.note("service job-998", at(1598));
    expect(pace.size).toBe(2);
    pace.note("service web", at(2198));
    expect(pace.size).toBe(1);
  });
});
