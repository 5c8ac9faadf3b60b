/** Counts what a suite checked and prints it; the last line is the one that other programs read. */

export const PROVISION = "conformance/provision";

export interface Counts {
  readonly passed: number;
  readonly failed: number;
  /** Left out, for whatever reason: {@link Report.notThereYet} too. */
  readonly skipped: number;
}

/** `12 passed, 0 failed, 1 skipped` */
export const countsLine = ({ passed, failed, skipped }: Counts): string =>
  `${passed} passed, ${failed} failed, ${skipped} skipped`;

/** The counts of the last such line in a suite's output; undefined when it printed none. */
export function findCounts(output: string): Counts | undefined {
  const line = [...output.matchAll(/^(\d+) passed, (\d+) failed, (\d+) skipped$/gm)].at(-1);
  return line && { passed: Number(line[1]), failed: Number(line[2]), skipped: Number(line[3]) };
}

/** How many of the skipped a suite's output says to be of what does not exist yet: nothing to provide, and no failure. */
export function findNotThereYet(output: string): number {
  return [...output.matchAll(/^not there yet (\d+): /gm)].reduce((sum, [, count]) => sum + Number(count), 0);
}

/** What a suite's output says to have been left out on purpose, a line each. */
export const findLeftOut = (output: string): string[] =>
  [...output.matchAll(/^left out (.+)$/gm)].map(([, line]) => `${line}`);

/** Under CI everything is provisioned first, so something left out there is a mistake of ours. */
export const skipIsFailure = (env: NodeJS.ProcessEnv = process.env): boolean => env.CI === "true";

export class Report {
  #passed = 0;
  readonly #failed: string[] = [];
  readonly #skipped: string[] = [];
  #notThereYet = 0;
  readonly #print: (line: string) => void;

  constructor(print: (line: string) => void = (line) => process.stdout.write(`${line}\n`)) {
    this.#print = print;
  }

  get counts(): Counts {
    return { passed: this.#passed, failed: this.#failed.length, skipped: this.#skipped.length + this.#notThereYet };
  }

  /** Runs one named check; a throw is its failure and the suite goes on. Returns whether it passed. */
  async check(name: string, body: () => Promise<void> | void): Promise<boolean> {
    const started = performance.now();
    try {
      await body();
    } catch (error) {
      this.fail(name, error instanceof Error ? (error.stack ?? error.message) : String(error));
      return false;
    }
    this.pass(`${name} (${((performance.now() - started) / 1000).toFixed(1)} s)`);
    return true;
  }

  pass(name: string): void {
    this.passAll(name, 1);
  }

  /** One line for `count` checks that another program made. */
  passAll(name: string, count: number): void {
    this.#passed += count;
    this.#print(`ok      ${name}`);
  }

  /** One of thousands: only its failure gets a line. */
  async quietly(name: string, body: () => Promise<void> | void): Promise<void> {
    try {
      await body();
      this.#passed++;
    } catch (error) {
      this.fail(name, error instanceof Error ? error.message : String(error));
    }
  }

  fail(name: string, why: string): void {
    this.#failed.push(name);
    this.#print(`FAILED  ${name}\n${why.replace(/^/gm, "        ")}`);
  }

  skip(name: string, why: string): void {
    this.#skipped.push(`${name}: ${why}`);
    this.#print(`skipped ${name}: ${why}`);
  }

  /** On purpose, by an argument: it is said, and is no check that was skipped. @param command that runs it */
  leaveOut(name: string, command: string): void {
    this.#print(`left out ${name}: ${command} runs it`);
  }

  /** Checks of what is still to be built: counted as skipped, said apart, and no failure under CI. */
  notThereYet(count: number, what: string): void {
    this.#notThereYet += count;
    this.#print(`not there yet ${count}: ${what}`);
  }

  /** Prints what failed and what was left out, then the counts alone on the last line. Returns the exit status. */
  finish(env: NodeJS.ProcessEnv = process.env): number {
    const { failed } = this.counts;
    const skipped = this.#skipped.length;
    if (failed) this.#print(`\nfailed:\n${this.#failed.map((name) => `  ${name}`).join("\n")}`);
    if (skipped) this.#print(`\nskipped (${PROVISION} provides what is missing):\n  ${this.#skipped.join("\n  ")}`);
    if (skipped && skipIsFailure(env)) this.#print("CI=true: what is skipped counts as failed");
    this.#print(`\n${countsLine(this.counts)}`);
    return failed || (skipped && skipIsFailure(env)) ? 1 : 0;
  }
}
