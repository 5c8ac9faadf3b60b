/** Cells at once; both workers have always something to do. */
export const lanes = 10;

/** Works through `source`, `count` at a time. */
export async function inLanes<T>(source: Iterable<T>, count: number, work: (each: T) => Promise<void>): Promise<void> {
  const iterator = source[Symbol.iterator]();
  const lane = async (): Promise<void> => {
    for (let next = iterator.next(); !next.done; next = iterator.next()) await work(next.value);
  };
  await Promise.all(Array.from({ length: count }, lane));
}
