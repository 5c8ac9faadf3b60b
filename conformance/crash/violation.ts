/**
 * What a run must never see. LOSS: acknowledged and gone (or an acknowledged delete undone). CORRUPTION: other bytes.
 * TORN: half of an operation is visible. ANSWER: a status that no crash explains. RECOVERY: not back in time.
 */
export type ViolationClass = "LOSS" | "CORRUPTION" | "TORN" | "ANSWER" | "RECOVERY";

export class Violation extends Error {
  readonly kind: ViolationClass;

  constructor(kind: ViolationClass, message: string) {
    super(`${kind} ${message}`);
    this.kind = kind;
  }
}
