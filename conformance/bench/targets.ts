/** Whether a figure is as good as it must be. */
export interface Target {
  readonly met: boolean;
}

/** The last line, and the exit status: 0 only when all were reached. */
export function conclude(targets: readonly Target[]): number {
  const missed = targets.filter(({ met }) => !met).length;
  console.log(`\n${targets.length} targets, ${missed} missed`);
  return missed === 0 ? 0 : 1;
}
