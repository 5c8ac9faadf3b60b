/** A refusal of the REST API with a code of a room's own; what every room refuses alike is thrown by the words of `orgs`. */
export class ProblemError extends Error {
  readonly status: number;
  /** Stable, for programs. */
  readonly code: string;

  constructor(status: 400 | 403 | 404 | 409 | 412 | 502 | 503, code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "ProblemError";
    this.status = status;
    this.code = code;
  }
}
