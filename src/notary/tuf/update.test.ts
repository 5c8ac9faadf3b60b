import { describe, expect, it } from "vitest";
import { Repository } from "./testing/repository.ts";

const roles = (files: readonly { role: string; version: number }[]) =>
  files.map(({ role, version }) => `${role} ${version}`);

describe("judgeUpdate", () => {
  it("takes the first publish and makes snapshot and timestamp", () => {
    const repository = new Repository();

    const files = repository.publish([repository.part("targets"), repository.part("root")]);

    expect(roles(files)).toEqual(["root 1", "targets 2", "snapshot 1", "timestamp 1"]);
  });
});
