import { type FaultName, faultOf, UpdateError, VerificationError } from "./error.ts";

/** Runs a check whose refusal clients know as `name`. What is no refusal is a fault of ours and goes through. */
export function refusedAs<T>(name: FaultName, check: () => T): T {
  try {
    return check();
  } catch (error) {
    if (error instanceof VerificationError) throw invalidUpdate(name, error.message, error);
    throw error;
  }
}

export function invalidUpdate(name: FaultName, message: string, cause?: unknown): UpdateError {
  return new UpdateError("INVALID_UPDATE", faultOf(name, message), cause);
}
