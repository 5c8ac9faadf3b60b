/** Two sides of one question by short turns, and how sure their difference is: what the machine does meanwhile meets both. */

/** A middle, and where it lies with 95 % of certainty. */
export interface Interval {
  readonly middle: number;
  readonly low: number;
  readonly high: number;
}

/**
 * `turns` of each, as A B B A A B B A: neither comes first more often, and a drift over four turns costs both the same.
 * Answers what the sides cost in each pair of neighbours.
 */
export async function takeTurns(
  turns: number,
  [one, other]: readonly [() => Promise<number>, () => Promise<number>],
): Promise<readonly (readonly [number, number])[]> {
  const pairs: [number, number][] = [];
  for (let turn = 0; turn < turns; turn++) {
    if (turn % 2 === 0) pairs.push([await one(), await other()]);
    else {
      const last = await other();
      pairs.push([await one(), last]);
    }
  }
  return pairs;
}

/** Student's t for 95 %, by degrees of freedom from 1 on. */
const QUANTILES = [
  ...[12.71, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228],
  ...[2.201, 2.179, 2.16, 2.145, 2.131, 2.12, 2.11, 2.101, 2.093, 2.086],
];

/** Of what independent rounds say; as wide as can be for a single one. */
export function intervalOf(rounds: readonly number[]): Interval {
  const middle = rounds.reduce((sum, value) => sum + value, 0) / rounds.length;
  if (rounds.length < 2) return { middle, low: Number.NEGATIVE_INFINITY, high: Number.POSITIVE_INFINITY };
  const freedom = rounds.length - 1;
  const variance = rounds.reduce((sum, value) => sum + (value - middle) ** 2, 0) / freedom;
  const reach = (QUANTILES[freedom - 1] ?? 1.96) * Math.sqrt(variance / rounds.length);
  return { middle, low: middle - reach, high: middle + reach };
}

/** `4.1 % (3.2 to 5.0)` */
export function percentOf({ middle, low, high }: Interval): string {
  return `${percent(middle)} % (${percent(low)} to ${percent(high)})`;
}

function percent(share: number): string {
  return (share * 100).toFixed(1);
}
