/** What a run counted, and how it is said. */
import type { Plan } from "./plan.ts";

export class Figures {
  cycles = 0;
  readonly kills = new Map<Plan["kind"], number>();
  readonly failpoints: Map<string, number>;
  readonly startMs: number[] = [];
  readonly recoveryMs: number[] = [];
  unavailable = 0;
  readBack = 0;
  resumable = 0;
  orphans = 0;

  constructor(failpoints: readonly string[]) {
    this.failpoints = new Map(failpoints.map((name) => [name, 0]));
  }

  countKill(kind: Plan["kind"], failpoint: string | undefined): void {
    this.kills.set(kind, (this.kills.get(kind) ?? 0) + 1);
    if (failpoint !== undefined) this.failpoints.set(failpoint, (this.failpoints.get(failpoint) ?? 0) + 1);
  }

  get unhit(): string[] {
    return [...this.failpoints].filter(([, hits]) => hits === 0).map(([name]) => name);
  }

  lines(): string[] {
    const list = (counts: ReadonlyMap<string, number>): string =>
      [...counts].map(([name, count]) => `${name} ${count}`).join(", ");
    return [
      `kills: ${list(this.kills)}`,
      `failpoints hit: ${list(this.failpoints)}`,
      `ready after a kill: median ${median(this.startMs)} ms, longest ${Math.max(0, ...this.startMs).toFixed(0)} ms`,
      `back after the death of PostgreSQL: median ${median(this.recoveryMs)} ms, longest ` +
        `${Math.max(0, ...this.recoveryMs).toFixed(0)} ms, ${this.unavailable} answers 503 meanwhile`,
      `read back: ${this.readBack} blobs, manifests and tags; ${this.resumable} uploads found where they were; ` +
        `${this.orphans} pieces of uploads left over`,
    ];
  }
}

function median(values: readonly number[]): string {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]?.toFixed(0) ?? "-";
}
