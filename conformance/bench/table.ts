import type { MemoryResult } from "./cases/memory.ts";
import { MAX_WORKER_MIB } from "./cases/memory.ts";
import type { Lane } from "./lanes.ts";
import type { CaseResult, LaneResult } from "./measure.ts";

const WIDTHS = [36, 8, 11, 8, 10, 10, 12, 30];

export function header(lanes: readonly Lane[]): string {
  const names = lanes.map(({ name, title }) => `  ${name.padEnd(10)} ${title}`).join("\n");
  const columns = row(["case", "unit", "median", "× peer", "p50 ms", "p99 ms", "CPU µs/op", "lane, runs"]);
  return `${names}\n\n${columns}`;
}

/** One line for each lane of the case. */
export function lines({ name, unit, lanes, target }: CaseResult): string {
  return lanes
    .map((lane, index) => {
      const goal = target?.lane === lane.lane ? ` (reach ${target.ratio}: ${target.met ? "yes" : "NO"})` : "";
      return row([
        index === 0 ? name : "",
        index === 0 ? unit : "",
        figure(lane.value),
        lane.ratio === undefined ? "" : lane.ratio.toFixed(2),
        milliseconds(lane.p50),
        milliseconds(lane.p99),
        figure(lane.cpuMicros),
        `${lane.lane}: ${runsOf(lane)}${goal}`,
      ]);
    })
    .join("\n");
}

const runsOf = ({ values }: LaneResult): string => values.map(figure).join(" ");

export function row(cells: readonly string[]): string {
  return cells
    .map((cell, index) => {
      const width = WIDTHS[index] ?? 0;
      return index < 2 ? cell.padEnd(width) : index === WIDTHS.length - 1 ? `  ${cell}` : cell.padStart(width);
    })
    .join("")
    .trimEnd();
}

const milliseconds = (value: number | undefined): string => (value === undefined ? "" : value.toFixed(2));

/** Three digits at least are worth reading. */
export function figure(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

export function memoryTable(results: readonly MemoryResult[]): string {
  const cells = results.map(({ lane, when, figures: { servers, sum, postgres } }) => {
    const each = servers.map(figure).join(" ");
    const goal = lane === "peer" || when === "idle" ? "" : Math.max(...servers) < MAX_WORKER_MIB ? "  yes" : "  NO";
    return `  ${lane.padEnd(9)} ${when.padEnd(10)} ${each.padEnd(14)} ${figure(sum).padStart(6)} ${figure(postgres).padStart(8)}${goal}`;
  });
  return ["\nmemory, resident MiB", "  lane      when       each worker       sum postgres", ...cells].join("\n");
}
