import { VerificationError } from "../notary/tuf/error.ts";
import { OciError } from "../oci/error.ts";
import { TrustError } from "../trust/error.ts";

/**
 * Why the bridge does nothing. `CLOCK`: this machine's clock went back; `CONFLICT`: the cluster is such that it cannot be
 * done now, because something is there already, or is used; `ENGINE`: the cluster's engine refuses, or shows
 * something else than was ordered; `IMAGE`: the name is none that can be verified; `MISSING`: there is no such thing to
 * change; `ORDER`: nobody who may has asked for it; `PIN`: no pin speaks for the collection; `PLACEMENT`: no node can run it
 * as it is asked for; `POLICY`: the policy document forbids it, or there is none that counts; `REGISTRY`: it does not answer,
 * or not as it must; `SILENT`: the engine does not answer, so what it was told may be done; `SPEC`: the service asks for what the
 * environment does not let it; `STORE`: what the bridge wrote itself cannot be read; `TRUST`: trust data that does not hold;
 * `UNSIGNED`: the required people have not signed.
 */
export type RefusalCode =
  | "CLOCK"
  | "CONFLICT"
  | "ENGINE"
  | "IMAGE"
  | "MISSING"
  | "ORDER"
  | "PIN"
  | "PLACEMENT"
  | "POLICY"
  | "REGISTRY"
  | "SILENT"
  | "SPEC"
  | "STORE"
  | "TRUST"
  | "UNSIGNED";

export interface Refusal {
  readonly kind: "refuse";
  readonly code: RefusalCode;
  /** A sentence for whoever asked. */
  readonly reason: string;
}

export class BridgeError extends Error {
  readonly code: RefusalCode;

  constructor(code: RefusalCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "BridgeError";
    this.code = code;
  }
}

/** What may be over by itself: nobody answered. */
export const isPassing = ({ code }: Pick<Refusal, "code">): boolean => code === "SILENT" || code === "REGISTRY";

export const refuse = (code: RefusalCode, reason: string): Refusal => ({ kind: "refuse", code, reason });

/**
 * Whatever does not hold is a refusal, and says why.
 * @throws what is no doubt but a fault of ours
 */
export function toRefusal(error: unknown): Refusal {
  if (error instanceof BridgeError) return refuse(error.code, error.message);
  if (error instanceof VerificationError) return refuse("TRUST", error.message);
  if (error instanceof TrustError) return refuse(error.code === "BINDING" ? "TRUST" : "POLICY", error.message);
  if (error instanceof OciError) return refuse("IMAGE", error.message);
  throw error;
}
