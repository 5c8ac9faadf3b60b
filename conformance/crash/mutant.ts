import type { Mutant } from "../harness/mutate.ts";

export interface CrashMutant extends Mutant {
  /** The part of the suite that shows it; default: kills of one server on a folder. */
  readonly args?: readonly string[];
}
