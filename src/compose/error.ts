/** A compose file that cannot be deployed as it is, with everything that is in the way: `services.web.build: why`. */
export class ComposeError extends Error {
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(faults.join("\n"));
    this.name = "ComposeError";
    this.faults = faults;
  }
}
