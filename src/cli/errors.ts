/** Something was refused or failed: exit status 1. */
export class CliError extends Error {}

/** The command line itself is wrong: exit status 2. */
export class UsageError extends Error {}
