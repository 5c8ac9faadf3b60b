/**
 * A disk that forgets in a power cut what was not synced. It begins as a folder that is all on the disk, and takes what
 * the recorder saw. By POSIX and no more: a sync of a file keeps its bytes and not its name, a sync of a folder keeps the
 * names in it, and a rename between folders is one name more here and one less there, each kept by its own folder's sync.
 * In PostgreSQL's cluster the sync of a new file keeps its name too, as it does on ext4, XFS and btrfs: PostgreSQL counts on
 * that where it makes a database.
 */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { LogRecord, Owner } from "./log.ts";

export type Change =
  | { readonly kind: "bytes"; readonly offset: number; readonly bytes: Buffer }
  | { readonly kind: "size"; readonly size: number; readonly onlyMore: boolean }
  | { readonly kind: "names"; readonly set?: readonly [name: string, inode: Inode]; readonly remove?: string };

export interface Inode {
  readonly isFolder: boolean;
  /** Of the file that holds its bytes at the beginning; undefined for one that was made since. */
  readonly origin: string | undefined;
  /** Lost by no power cut: what that would do to them is refused by every program, not misread. */
  owner: Owner;
  readonly mode: number;
  readonly firstNames: ReadonlyMap<string, Inode>;
  /** As every program sees them. */
  readonly names: Map<string, Inode>;
  readonly changes: Change[];
  /** So many of the changes outlive a power cut. */
  durable: number;
  /** Where its sync keeps its name too: the folder it was made in, with the changes up to then. */
  readonly madeIn: { readonly folder: Inode; readonly changes: number } | undefined;
}

export class Disk {
  readonly root: Inode;
  readonly #path: string;
  readonly #inodes = new Map<bigint, Inode>();
  readonly #syncs = new Map<bigint, { inode: Inode; changes: number }>();

  /** `path` is what was recorded, `origin` a copy of how it was at the beginning. */
  constructor(path: string, origin: string) {
    this.#path = path;
    this.root = this.#load(path, origin);
  }

  apply(record: LogRecord): void {
    if ("token" in record) this.#sync(record);
    else if ("to" in record) this.#name(record);
    else if ("inode" in record && "owner" in record) this.#create(record);
    else if ("owner" in record) this.#own(record);
    else if ("path" in record) this.#remove(record.path);
    else this.#write(record);
  }

  #load(path: string, origin: string): Inode {
    const found = statSync(path, { bigint: true });
    const isFolder = found.isDirectory();
    const names = new Map<string, Inode>();
    const owner = { uid: Number(found.uid), gid: Number(found.gid) };
    const mode = Number(found.mode) & 0o7777;
    for (const entry of isFolder ? readdirSync(path, { withFileTypes: true }) : []) {
      if (!entry.isFile() && !entry.isDirectory()) continue;
      names.set(entry.name, this.#load(join(path, entry.name), join(origin, entry.name)));
    }
    const inode = {
      isFolder,
      origin,
      owner,
      mode,
      firstNames: new Map(names),
      names,
      changes: [],
      durable: 0,
      madeIn: undefined,
    };
    this.#inodes.set(found.ino, inode);
    return inode;
  }

  #create({ kind, path, inode: number, owner }: Extract<LogRecord, { kind: "create" | "mkdir" }>): void {
    const { folder, name } = this.#find(path);
    const present = folder?.names.get(name);
    // Opened with O_CREAT, and it was there.
    if (folder === undefined || (present !== undefined && present === this.#inodes.get(number))) return;
    const isFolder = kind === "mkdir";
    const mode = isFolder ? 0o700 : 0o600;
    const parts = { isFolder, owner, mode, firstNames: new Map(), names: new Map(), changes: [] };
    const isPostgres = path.startsWith("postgres", this.#path.length + 1);
    const madeIn = isPostgres ? { folder, changes: folder.changes.length + 1 } : undefined;
    const inode = { ...parts, origin: undefined, durable: 0, madeIn };
    this.#inodes.set(number, inode);
    change(folder, { kind: "names", set: [name, inode] });
  }

  #own({ path, owner }: Extract<LogRecord, { kind: "own" }>): void {
    const { folder, name } = this.#find(path);
    const inode = folder?.names.get(name);
    if (inode !== undefined) inode.owner = owner;
  }

  #remove(path: string): void {
    const { folder, name } = this.#find(path);
    if (folder?.names.has(name)) change(folder, { kind: "names", remove: name });
  }

  #name({ kind, path, to }: Extract<LogRecord, { to: string }>): void {
    const [from, target] = [this.#find(path), this.#find(to)];
    const inode = from.folder?.names.get(from.name);
    // Written past the recorder, by the C library's streams: caches of PostgreSQL.
    if (inode === undefined || target.folder === undefined) return;
    const isWithin = kind === "rename" && from.folder === target.folder;
    change(target.folder, { kind: "names", set: [target.name, inode], ...(isWithin && { remove: from.name }) });
    if (kind === "rename" && !isWithin) this.#remove(path);
  }

  /** It keeps what was complete when it began. */
  #sync({ kind, inode: number, token }: Extract<LogRecord, { token: bigint }>): void {
    const inode = this.#inodes.get(number);
    if (kind === "sync-begin" && inode !== undefined) this.#syncs.set(token, { inode, changes: inode.changes.length });
    const begun = this.#syncs.get(token);
    if (kind === "sync-begin" || begun === undefined) return;
    this.#syncs.delete(token);
    for (let kept: Inode["madeIn"] = { folder: begun.inode, changes: begun.changes }; kept !== undefined; ) {
      kept.folder.durable = Math.max(kept.folder.durable, kept.changes);
      kept = kept.folder.madeIn;
    }
  }

  #write(record: Extract<LogRecord, { kind: "write" | "zeros" | "truncate" | "extend" }>): void {
    const inode = this.#inodes.get(record.inode);
    if (inode === undefined) return;
    if (record.kind === "write") change(inode, { kind: "bytes", offset: record.offset, bytes: record.bytes });
    else if (record.kind === "zeros")
      change(inode, { kind: "bytes", offset: record.offset, bytes: zeros(record.size) });
    else change(inode, { kind: "size", size: record.size, onlyMore: record.kind === "extend" });
  }

  #find(path: string): { folder: Inode | undefined; name: string } {
    const steps = path.slice(this.#path.length + 1).split("/");
    const name = steps.pop() ?? "";
    let folder: Inode | undefined = this.root;
    for (const step of steps) folder = folder?.names.get(step);
    return { folder, name };
  }
}

function change(inode: Inode, made: Change): void {
  inode.changes.push(made);
  if (made.kind === "names") rename(inode.names, made);
}

export function rename(names: Map<string, Inode>, { set, remove }: Extract<Change, { kind: "names" }>): void {
  if (remove !== undefined) names.delete(remove);
  if (set !== undefined) names.set(...set);
}

/** PostgreSQL fills a new piece of its log with them: one buffer for all. */
let shared = Buffer.alloc(0);
function zeros(size: number): Buffer {
  if (shared.length < size) shared = Buffer.alloc(size);
  return shared.subarray(0, size);
}
