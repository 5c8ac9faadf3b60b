import type { Core } from "../core.ts";

type FigureDeps = Pick<Core, "journal" | "watch" | "report" | "metrics" | "now">;

/** A look is due every few seconds. */
const LATE_MS = 60_000;
const RECORDS = ["intent", "converged", "failed", "abandoned", "passed-over", "refused", "reaction", "seen"];
const STATES = ["trusted", "trust-lost", "drifted", "unmanaged", "unknown"];

/** What operators' tools ask of the watch, and of what the bridge did. */
export function addWatchGauges({ journal, watch, report, metrics, now }: FigureDeps): void {
  const byEvent = countNew(journal, ({ event }) => String(event));
  const byCode = countNew(journal, ({ event, code }) => (event === "refused" ? String(code) : undefined));
  metrics.addGauge({
    ...{ name: "goldseal_bridge_records", label: "event", read: async () => withZeros(byEvent(), RECORDS) },
    help: "Records in the journal, by event: intent is a deployment begun, converged one that runs, seen an alarm",
  });
  metrics.addGauge({
    ...{ name: "goldseal_bridge_refusals", label: "code", read: async () => byCode() },
    help: "Orders refused, by code",
  });
  for (const [what, states] of [
    ["services", STATES],
    ["containers", STATES],
    ["nodes", ["seen", "unseen"]],
  ] as const)
    metrics.addGauge({
      ...{ name: `goldseal_bridge_${what}`, label: "state" },
      help: `${what} of the cluster by what the last look said of them`,
      read: async () => withZeros(count(watch.states()[what].map(({ state }) => state)), states),
    });
  metrics.addGauge({
    ...{ name: "goldseal_bridge_age_seconds", label: "of", read: async () => agesOf({ watch, report, now }) },
    help: "How long ago the cluster was last looked at, the registry was told of it, and the oldest `unknown` became that",
  });
}

function agesOf({ watch, report, now }: Pick<FigureDeps, "watch" | "report" | "now">): Map<string, number> {
  const { lookedAt, services } = watch.states();
  const unknown = services.filter(({ state }) => state === "unknown").map(({ since }) => since.getTime());
  const age = (ms: number | undefined): number => (ms === undefined ? Number.NaN : (now().getTime() - ms) / 1000);
  return new Map([
    ["look", age(lookedAt?.getTime())],
    ["report", age(report.toldAt?.getTime())],
    ["unknown", unknown.length === 0 ? 0 : age(Math.min(...unknown))],
  ]);
}

/**
 * Why what runs may not be known now, a sentence each.
 * @param startedAt when the watch began; undefined: not yet
 */
export function findWatchFaults({ watch, now }: Pick<FigureDeps, "watch" | "now">, startedAt?: Date): string[] {
  const { lookedAt, services } = watch.states();
  const last = lookedAt ?? startedAt;
  const isLate = last !== undefined && now().getTime() - last.getTime() > LATE_MS;
  const what = lookedAt === undefined ? "was never looked at since" : "was last looked at";
  const old = services.filter(({ state, since }) => state === "unknown" && now().getTime() - since.getTime() > LATE_MS);
  return [
    ...(isLate ? [`the cluster ${what} ${last.toISOString()}: the bridge's log says why (watch.look)`] : []),
    ...old.map(({ name, since, reason }) => `${name} is judged by nobody since ${since.toISOString()}: ${reason}`),
  ];
}

/** Counts each record once, however often it is asked. */
function countNew(
  { records }: FigureDeps["journal"],
  labelOf: (record: (typeof records)[number]) => string | undefined,
): () => Map<string, number> {
  const counts = new Map<string, number>();
  let read = 0;
  return () => {
    for (; read < records.length; read++) {
      const label = labelOf(records[read] as (typeof records)[number]);
      if (label !== undefined) counts.set(label, (counts.get(label) ?? 0) + 1);
    }
    return counts;
  };
}

function count(labels: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const label of labels) counts.set(label, (counts.get(label) ?? 0) + 1);
  return counts;
}

const withZeros = (counts: ReadonlyMap<string, number>, labels: readonly string[]): Map<string, number> =>
  new Map([...labels.map((label) => [label, 0] as const), ...counts]);
