import { writeSync } from "node:fs";

/**
 * A named place in a write path where the crash suite may end the process, as a kill would, and where the explorer of
 * interleavings holds it.
 * `GOLDSEAL_FAILPOINT=name:n` ends it at the n-th time the place is reached; without it every call does nothing.
 */
export type Failpoint = (name: string) => Promise<void> | undefined;

export const noFailpoint: Failpoint = () => undefined;

export function failpointAt({ name, pass }: { name: string; pass: number }, die: () => void): Failpoint {
  let left = pass;
  return (reached) => {
    if (reached !== name || --left !== 0) return undefined;
    // Said before the end, so that the suite can count what it hit.
    writeSync(2, `failpoint ${name}\n`);
    die();
    return undefined;
  };
}
