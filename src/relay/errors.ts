import { ProblemError } from "../http/problem.ts";

/** Nobody was reached, so nothing was done. */
export const bridgeAway = (why: string): ProblemError =>
  new ProblemError(503, "bridge-away", `the bridge does not answer, and nothing was done: ${why}`);

/** It was asked, and what came of it is not known. */
export const bridgeSilent = (why: string): ProblemError =>
  new ProblemError(
    502,
    "bridge-silent",
    `the bridge was asked and did not answer: ${why}; what it began it brings to its end, and its journal says what became of it`,
  );
