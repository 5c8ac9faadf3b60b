/** Why a document, an envelope or a rule is not taken. Evidence that does not hold is no error but a {@link Refusal}. */
export type TrustCode = "MALFORMED" | "SIGNATURE" | "VERSION" | "POLICY" | "BINDING";

/**
 * A policy document or an envelope that does not hold. `MALFORMED`: it cannot be read in exactly one way; `SIGNATURE`: too
 * few of the right keys; `VERSION`: an older one, or another of the same number; `POLICY`: it names what it does not define; `BINDING`: bytes that are not what they were given as.
 */
export class TrustError extends Error {
  readonly code: TrustCode;

  constructor(code: TrustCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "TrustError";
    this.code = code;
  }
}
