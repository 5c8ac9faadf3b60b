/**
 * What the registry was asked and what it acknowledged since birth: one register for each blob, manifest and tag of a
 * repository, and the uploads that are open. After a crash a register may hold what was acknowledged last, or what an
 * operation without an answer would have put there; nothing else.
 */
import type { Journal } from "./journal.ts";
import { Keeping } from "./keeping.ts";
import type { Blob } from "./random.ts";

/**
 * A digest for a tag, SHA-256 in hex of the targets file for trust, the level of a grant, the server's public key; "present"
 * for a blob, manifest or user; undefined: not there.
 */
export type Value = string | undefined;
export type Kind = "blob" | "manifest" | "tag" | "trust" | "grant" | "user" | "key";
export const PRESENT = "present";
/** What only the answer would have told. */
export const ANY = "any";

interface Operation {
  value: Value;
  readonly sent: number;
  /** Infinity until it was acknowledged. */
  answered: number;
}

export class Register {
  readonly kind: Kind;
  readonly repository: string;
  /** Tag or digest. */
  readonly name: string;
  /** Of a blob or manifest: a collector that has no grace may have taken it. */
  isLoose = true;
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

  /** It was refused, and nothing came of it. */
  withdraw(operation: Operation): void {
    this.#operations.splice(this.#operations.indexOf(operation), 1);
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

  /** As it is now, whatever becomes of this one. */
  clone(): Register {
    const copy = new Register(this.kind, this.repository, this.name);
    copy.isLoose = this.isLoose;
    copy.#settled = this.#settled;
    copy.#operations = this.#operations.map((operation) => ({ ...operation }));
    return copy;
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
  /** {@link ANY} until the answer. */
  value: Value;
}

/** An operation without an answer, with what its registers held before it. */
export interface OpenOperation {
  readonly op: string;
  readonly changes: readonly (Change & { readonly before: Value | "unknown" })[];
}

/** What an operation answers that a collector has made impossible: nothing was changed. */
export class Refused extends Error {}

export class History {
  readonly #journal: Journal;
  readonly #registers = new Map<string, Register>();
  readonly #tags = new Map<string, Register[]>();
  keeping = new Keeping(this);
  /** A collector is at work, and takes what is loose. */
  isCollected = false;
  /** What it said that it took, by the words of the registers. */
  readonly #collected = new Set<string>();
  readonly uploads = new Map<string, Upload>();
  /** Touched since they were last read back. */
  readonly dirty = new Set<Register>();
  /** The subject that a manifest names, by the manifest's digest. */
  readonly subjects = new Map<string, string>();
  /** Since the last check. */
  readonly open = new Set<OpenOperation>();
  acknowledged = 0;
  unanswered = 0;
  /** Told of each operation in the moment it was acknowledged. */
  onAcknowledged: (op: string) => void = () => undefined;
  #clock = 0;

  constructor(journal: Journal) {
    this.#journal = journal;
  }

  get registers(): readonly Register[] {
    return [...this.#registers.values()];
  }

  register(kind: Kind, repository: string, name: string): Register {
    const key = `${kind} ${repository} ${name}`;
    const found = this.#registers.get(key);
    if (found !== undefined) return found;
    const made = new Register(kind, repository, name);
    this.#add(key, made);
    return made;
  }

  #add(key: string, register: Register): void {
    this.#registers.set(key, register);
    if (register.kind !== "tag") return;
    this.#tags.set(register.repository, [...this.tagsOf(register.repository), register]);
  }

  tagsOf(repository: string): readonly Register[] {
    return this.#tags.get(repository) ?? [];
  }

  noteCollected(words: readonly string[]): void {
    for (const each of words) this.#collected.add(each);
  }

  /** Nothing kept it from the collector, which has it on its list. */
  mayBeGone(register: Register): boolean {
    return this.isCollected && register.isLoose && this.#collected.has(String(register));
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
    this.#updateKeeping(changes);
    try {
      await work();
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      for (const [index, operation] of operations.entries()) changes[index]?.register.withdraw(operation);
      this.#end(open, changes);
      throw error;
    }
    this.acknowledged++;
    const answered = ++this.#clock;
    for (const [index, operation] of operations.entries())
      Object.assign(operation, { answered, value: changes[index]?.value });
    this.#end(open, changes);
    for (const { register, value } of changes)
      if (register.kind === "manifest" && value !== undefined) this.keeping.confirm(register.repository, register.name);
    this.onAcknowledged(op);
    await this.#journal.write({ ack: sent });
  }

  #end(open: OpenOperation, changes: readonly Change[]): void {
    this.open.delete(open);
    this.unanswered--;
    this.#updateKeeping(changes);
  }

  #updateKeeping(changes: readonly Change[]): void {
    const repositories = changes.flatMap(({ register: { kind, repository } }) =>
      kind === "tag" || kind === "manifest" ? [repository] : [],
    );
    for (const repository of new Set(repositories)) this.keeping.update(repository);
  }

  /** What is known now, to be checked against a server that has seen no more than this. */
  fork(): History {
    const copy = new History(this.#journal);
    const copies = new Map(this.registers.map((register) => [register, register.clone()]));
    for (const [key, register] of this.#registers) copy.#add(key, copies.get(register) ?? register);
    copy.keeping = this.keeping.fork(copy);
    copy.isCollected = this.isCollected;
    copy.noteCollected([...this.#collected]);
    for (const [path, upload] of this.uploads) copy.uploads.set(path, { ...upload });
    for (const [digest, subject] of this.subjects) copy.subjects.set(digest, subject);
    for (const { op, changes } of this.open) {
      const mapped = changes.map((each) => ({ ...each, register: copies.get(each.register) ?? each.register }));
      copy.open.add({ op, changes: mapped });
    }
    return copy;
  }

  /** For the reader of the journal: what happened between the operations. */
  note(line: Readonly<Record<string, unknown>>): Promise<void> {
    return this.#journal.write(line);
  }
}
