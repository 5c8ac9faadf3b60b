/**
 * What the registry was asked and what it acknowledged since birth: one register for each blob, manifest and tag of a
 * repository, and the uploads that are open. After a crash a register may hold what was acknowledged last, or what an
 * operation without an answer would have put there; nothing else.
 */
import type { Journal } from "./journal.ts";
import type { Blob } from "./random.ts";

/** A digest for a tag, SHA-256 in hex of the targets file for trust, "present" for a blob or manifest; undefined: not there. */
export type Value = string | undefined;
export type Kind = "blob" | "manifest" | "tag" | "trust";
export const PRESENT = "present";

interface Operation {
  readonly value: Value;
  readonly sent: number;
  /** Infinity until it was acknowledged. */
  answered: number;
}

export class Register {
  readonly kind: Kind;
  readonly repository: string;
  /** Tag or digest. */
  readonly name: string;
  #settled: Value;
  #operations: Operation[] = [];

  constructor(kind: Kind, repository: string, name: string) {
    this.kind = kind;
    this.repository = repository;
    this.name = name;
  }

  begin(value: Value, sent: number): Operation {
    const operation = { value, sent, answered: Number.POSITIVE_INFINITY };
    this.#operations.push(operation);
    return operation;
  }

  /** Every value it may hold: of each operation that no acknowledged one was begun after. */
  allowed(): Set<Value> {
    const lastSent = Math.max(-1, ...this.#acknowledged().map(({ sent }) => sent));
    const values = this.#operations.filter(({ answered }) => answered > lastSent).map(({ value }) => value);
    return new Set(lastSent < 0 ? [this.#settled, ...values] : values);
  }

  /** What it must hold; "unknown" when that depends on an operation without an answer. */
  current(): Value | "unknown" {
    const values = [...this.allowed()];
    return values.length === 1 ? values[0] : "unknown";
  }

  /** Nothing is under way and it holds `value`: from here on it may not change by itself. */
  settle(value: Value): void {
    this.#settled = value;
    this.#operations = [];
  }

  toString(): string {
    return `${this.kind} ${this.repository} ${this.name}`;
  }

  #acknowledged(): Operation[] {
    return this.#operations.filter(({ answered }) => answered !== Number.POSITIVE_INFINITY);
  }
}

/** An upload that was begun and not seen to end. */
export interface Upload {
  readonly path: string;
  readonly repository: string;
  readonly blob: Blob;
  /** How many bytes it may have: one number once the last request was answered. */
  sizes: number[];
  /** A PUT or DELETE without an answer: it may be gone. */
  ending?: "finish" | "cancel";
}

export interface Change {
  readonly register: Register;
  readonly value: Value;
}

/** An operation without an answer, with what its registers held before it. */
export interface OpenOperation {
  readonly op: string;
  readonly changes: readonly (Change & { readonly before: Value | "unknown" })[];
}

export class History {
  readonly #journal: Journal;
  readonly #registers = new Map<string, Register>();
  readonly uploads = new Map<string, Upload>();
  /** Touched since they were last read back. */
  readonly dirty = new Set<Register>();
  /** The subject that a manifest names, by the manifest's digest. */
  readonly subjects = new Map<string, string>();
  /** Since the last check. */
  readonly open = new Set<OpenOperation>();
  acknowledged = 0;
  unanswered = 0;
  #clock = 0;

  constructor(journal: Journal) {
    this.#journal = journal;
  }

  get registers(): readonly Register[] {
    return [...this.#registers.values()];
  }

  register(kind: Kind, repository: string, name: string): Register {
    const key = `${kind} ${repository} ${name}`;
    const found = this.#registers.get(key) ?? new Register(kind, repository, name);
    this.#registers.set(key, found);
    return found;
  }

  /** One operation: the intent is on the disk before `work`, the acknowledgement after it. A throw leaves it open. */
  async attempt(op: string, changes: readonly Change[], work: () => Promise<unknown>): Promise<void> {
    const sent = ++this.#clock;
    const open = { op, changes: changes.map((change) => ({ ...change, before: change.register.current() })) };
    const operations = changes.map(({ register, value }) => {
      this.dirty.add(register);
      return register.begin(value, sent);
    });
    const list = changes.map(({ register, value }) => [String(register), value ?? null]);
    await this.#journal.write({ intent: sent, op, changes: list });
    this.open.add(open);
    this.unanswered++;
    await work();
    this.open.delete(open);
    this.unanswered--;
    this.acknowledged++;
    const answered = ++this.#clock;
    for (const operation of operations) operation.answered = answered;
    await this.#journal.write({ ack: sent });
  }

  /** For the reader of the journal: what happened between the operations. */
  note(line: Readonly<Record<string, unknown>>): Promise<void> {
    return this.#journal.write(line);
  }
}
