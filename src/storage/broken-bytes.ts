/** Bytes that are not all there, or are not what their digest says. */
export class BrokenBytesError extends Error {}

/** Whether it may be the bytes' own fault: they are gone, cut off or changed, or the disk does not give them. */
export function mayBeDamage(error: unknown): boolean {
  return error instanceof BrokenBytesError || (error instanceof Error && "syscall" in error);
}
