/** What must hold for any cluster and any service. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { findConstraint } from "../../trust/constraint.ts";
import { BridgeError } from "../errors.ts";
import type { Node } from "./cluster.ts";
import { matches } from "./constraint-lint.ts";
import { judgeNodes, type Surroundings } from "./fitness.ts";
import { type Placement, place } from "./placement.ts";
import { needOf, node, spec } from "./testing/cluster.ts";

const GIB = 1024 ** 3;
const nodes: fc.Arbitrary<Node[]> = fc
  .array(
    fc.record({
      role: fc.constantFrom("manager", "worker", "worker"),
      away: fc.constantFrom(undefined, undefined, undefined, undefined, "down", "drain"),
      nanoCpus: fc.constantFrom(1e9, 2e9, 4e9),
      memoryBytes: fc.constantFrom(GIB, 4 * GIB),
      labels: fc.constantFrom<Record<string, string>>({}, { zone: "a" }, { zone: "b" }, { zone: "a", tier: "prod" }),
    }),
    { minLength: 2, maxLength: 7, size: "max" },
  )
  .map((all) => all.map((one, index) => node(`n${index}`, one)));
const surroundings: fc.Arbitrary<Surroundings> = nodes.chain((all) =>
  fc.record({
    nodes: fc.constant(all),
    occupants: fc.array(
      fc.record({
        node: fc.constantFrom(...all.map(({ id }) => id)),
        service: fc.constantFrom("web-id", "other"),
        nanoCpus: fc.constantFrom(0, 1e8, 7e8),
        memoryBytes: fc.constantFrom(0, GIB / 4),
        generic: fc.constant(new Map<string, number>()),
        hostPorts: fc.constantFrom([], [], ["8080/tcp"]),
      }),
      { maxLength: 10 },
    ),
    withUserns: fc.subarray(all.map(({ id }) => id)).map((ids) => new Set(ids)),
    replaces: fc.constantFrom(undefined, "web-id"),
  }),
);
const asked = fc.record({
  strategy: fc.constantFrom("spread", "binpack", "random"),
  replicas: fc.integer({ min: 0, max: 7 }),
  maxPerNode: fc.constantFrom(0, 0, 0, 2),
  reservations: fc.record({ cpus: fc.constantFrom(0.1, 0.3, 1.2), memoryBytes: fc.constantFrom(GIB / 16, GIB / 4) }),
  ports: fc.constantFrom([], [], [], [], [{ target: 80, published: 8080, mode: "host" }]),
  constraints: fc.subarray(["node.role==worker", "node.labels.zone!=a", "node.labels.tier!=prod"], { maxLength: 1 }),
});

/** Undefined where it is refused. */
function attempt(service: object, around: Surroundings, usernsOnly: boolean): Placement | undefined {
  const parsed = spec(service);
  try {
    return place(parsed, needOf(parsed, { usernsOnly }), around, 7);
  } catch (error) {
    if (error instanceof BridgeError && error.code === "PLACEMENT") return undefined;
    throw error;
  }
}

/** The bridge writes the label before the engine hears of the service. */
const labelled = ({ nodes: all, withUserns }: Surroundings): Node[] =>
  all.map((one) =>
    withUserns.has(one.id) ? { ...one, labels: new Map([...one.labels, ["goldseal.userns", "on"] as const]) } : one,
  );

const matched = ({ fields }: Placement, around: Surroundings): string[] => {
  const constraints = ((fields.Constraints ?? []) as string[]).flatMap((text) => findConstraint(text) ?? []);
  return labelled(around).flatMap((one) => (constraints.every((each) => matches(one, each)) ? [one.id] : []));
};

const options = { numRuns: 300 };
const every = (check: (placement: Placement, service: Service, around: Surroundings, usernsOnly: boolean) => void) =>
  fc.assert(
    fc.property(asked, surroundings, fc.boolean(), (service, around, usernsOnly) => {
      const placement = attempt(service, around, usernsOnly);
      if (placement !== undefined) check(placement, service, around, usernsOnly);
    }),
    options,
  );
interface Service {
  readonly strategy: string;
  readonly replicas: number;
  readonly maxPerNode: number;
}

describe("a placement", () => {
  it("expects tasks only where they fit, and no more than are asked for", () => {
    every(({ report }, { replicas, maxPerNode }) => {
      const total = report.nodes.reduce((sum, { tasks }) => sum + tasks, 0);
      for (const { tasks, room, chosen } of report.nodes) {
        expect(tasks).toBeLessThanOrEqual(room ?? replicas);
        if (!chosen) expect(tasks).toBe(0);
        if (maxPerNode > 0) expect(tasks).toBeLessThanOrEqual(maxPerNode);
      }
      expect(total).toBeLessThanOrEqual(replicas);
    });
  });

  it("by the bridge's choice is told the engine so that it can choose exactly these nodes, and all tasks fit there", () => {
    every((placement, { strategy, replicas }, around) => {
      if (strategy === "spread") return;
      const chosen = placement.report.nodes.filter((row) => row.chosen);
      expect(matched(placement, around)).toEqual(chosen.map(({ id }) => id));
      expect(chosen.reduce((sum, { tasks }) => sum + tasks, 0)).toBe(replicas);
    });
  });

  it("by binpack leaves out no fuller node that has room, and takes none without need", () => {
    every((placement, { strategy, replicas, ...service }, around, usernsOnly) => {
      if (strategy !== "binpack") return;
      const parsed = spec({ ...service, strategy, replicas });
      const judged = judgeNodes(needOf(parsed, { usernsOnly }), around).filter(({ room }) => room > 0);
      const chosen = new Set(placement.report.nodes.filter((row) => row.chosen).map(({ id }) => id));
      const used = (one: (typeof judged)[number]): number =>
        2 - one.freeNanoCpus / one.node.nanoCpus - one.freeMemoryBytes / one.node.memoryBytes;
      const [inside, outside] = [true, false].map((isIn) =>
        judged.filter(({ node: one }) => chosen.has(one.id) === isIn),
      );
      const emptiest = Math.min(...(inside ?? []).map(used));
      for (const one of outside ?? []) expect(used(one)).toBeLessThanOrEqual(emptiest + 1e-9);
      const room = (inside ?? []).reduce((sum, one) => sum + one.room, 0);
      const least = (inside ?? []).filter((one) => used(one) <= emptiest + 1e-9);
      const needless = least.every((one) => room - one.room >= Math.max(1, replicas));
      expect(needless).toBe(false);
    });
  });

  it("runs nothing where users are not mapped, if that is asked for, even where a node says so itself", () => {
    every((placement, _service, around, usernsOnly) => {
      if (!usernsOnly) return;
      for (const id of matched(placement, around)) expect(around.withUserns.has(id)).toBe(true);
    });
  });

  it("by spread is as even as the room lets it be", () => {
    every(({ report }, { strategy }) => {
      if (strategy !== "spread") return;
      const fullest = Math.max(0, ...report.nodes.map(({ tasks }) => tasks));
      for (const { chosen, tasks, room } of report.nodes)
        if (chosen && tasks < (room ?? Number.POSITIVE_INFINITY)) expect(tasks).toBeGreaterThanOrEqual(fullest - 1);
    });
  });
});
