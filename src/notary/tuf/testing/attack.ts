import { describe, expect, it } from "vitest";
import { UpdateError } from "../error.ts";
import type { UploadedPart } from "../upload.ts";
import type { Repository } from "./repository.ts";

export interface Attack {
  /** The attack, in words. */
  readonly name: string;
  readonly repository: Repository;
  readonly parts: (repository: Repository) => readonly UploadedPart[];
  /** The wire's code and detail, exactly. */
  readonly code: UpdateError["code"];
  readonly detail?: UpdateError["detail"];
  /** Honest files that must pass after the attack failed. */
  readonly honest?: (repository: Repository) => readonly UploadedPart[];
}

/** Each attack is refused with exactly this answer, leaves every byte as it was, and an honest publish still works. */
export function refuses(title: string, attacks: readonly Attack[]): void {
  describe(title, () => {
    it.each(attacks.map((attack) => [attack.name, attack] as const))("%s", (_name, attack) => {
      const repository = attack.repository.copy();
      const parts = attack.parts(repository);
      const before = stateOf(repository, parts);

      expect(refusalOf(() => repository.publish(parts))).toEqual({ code: attack.code, detail: attack.detail });

      expect(stateOf(repository, parts)).toEqual(before);
      if (repository.stored.size > 0) {
        const honest = attack.honest ?? ((other: Repository) => other.withSnapshot([other.part("targets")]));
        const version = repository.versionOf("timestamp") ?? 0;
        repository.publish(honest(repository));
        expect(repository.versionOf("timestamp")).toBe(version + 1);
      }
    });
  });
}

export const fault = (Name: string, Msg: string): UpdateError["detail"] =>
  ({ Name, Error: { Msg } }) as UpdateError["detail"];

export function refusalOf(act: () => unknown): { code: string; detail: unknown } | "accepted" {
  try {
    act();
    return "accepted";
  } catch (error) {
    if (!(error instanceof UpdateError)) throw error;
    return { code: error.code, detail: error.detail };
  }
}

function stateOf({ stored }: Repository, parts: readonly UploadedPart[]): string[] {
  const files = [...stored].map(([role, bytes]) => `${role} ${Buffer.from(bytes).toString("base64")}`);
  return [...files, ...parts.map(({ bytes }) => Buffer.from(bytes).toString("base64"))];
}
