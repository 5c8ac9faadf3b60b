import { describe, expect, it } from "vitest";
import { ClusterStates, type ServiceState } from "../cluster-states.ts";
import { findWatchFaults } from "./watch-figures.ts";

const NOON = new Date("2026-11-23T12:00:00Z");
const later = (seconds: number): Date => new Date(NOON.getTime() + seconds * 1000);
const web: ServiceState = {
  ...{ id: "one", name: "web", environment: "prod", pinned: "registry.test/ops/app@sha256:1" },
  ...{ state: "unknown", reason: "the registry is away", since: NOON },
};

function faultsAt(
  now: Date,
  { lookedAt, startedAt }: { lookedAt?: Date; startedAt?: Date },
  ...services: ServiceState[]
) {
  const watch = new ClusterStates();
  watch.put({ lookedAt, services, containers: [], nodes: [] });
  return findWatchFaults({ watch, now: () => now }, startedAt);
}

describe("what keeps the bridge from knowing what runs", () => {
  it("is a last look of more than a minute ago", () => {
    expect(faultsAt(later(60), { lookedAt: NOON, startedAt: NOON })).toEqual([]);
    expect(faultsAt(later(61), { lookedAt: NOON, startedAt: NOON })).toEqual([
      "the cluster was last looked at 2026-11-23T12:00:00.000Z: the bridge's log says why (watch.look)",
    ]);
  });

  it("is a first look that never came", () => {
    expect(faultsAt(later(60), { startedAt: NOON })).toEqual([]);
    expect(faultsAt(later(61), { startedAt: NOON })).toEqual([
      "the cluster was never looked at since 2026-11-23T12:00:00.000Z: the bridge's log says why (watch.look)",
    ]);
    expect(faultsAt(later(61), {})).toEqual([]);
  });

  it("is a service that is unknown for more than a minute, and no other", () => {
    const looks = { lookedAt: later(61) };
    const others = (["trusted", "trust-lost", "drifted", "unmanaged"] as const).map((state) => ({ ...web, state }));

    expect(faultsAt(later(60), looks, web, ...others)).toEqual([]);
    expect(faultsAt(later(61), looks, web, ...others)).toEqual([
      "web is judged by nobody since 2026-11-23T12:00:00.000Z: the registry is away",
    ]);
  });
});
