/**
 * What all of them came to: each is brought to its end, whatever the others did.
 * @throws the error of the first, as they stand here, that failed
 */
export async function allDone<const T extends readonly unknown[]>(
  all: T,
): Promise<{ -readonly [I in keyof T]: Awaited<T[I]> }> {
  await Promise.allSettled(all);
  return Promise.all(all);
}
