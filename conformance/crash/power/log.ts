/** Reads what recorder.c wrote. */

export type LogRecord =
  | { readonly kind: "create" | "mkdir"; readonly path: string; readonly inode: bigint; readonly owner: Owner }
  | { readonly kind: "own"; readonly path: string; readonly owner: Owner }
  | { readonly kind: "unlink" | "rmdir"; readonly path: string }
  | { readonly kind: "rename" | "link"; readonly path: string; readonly to: string }
  | { readonly kind: "write"; readonly inode: bigint; readonly offset: number; readonly bytes: Buffer }
  | { readonly kind: "zeros"; readonly inode: bigint; readonly offset: number; readonly size: number }
  | { readonly kind: "truncate" | "extend"; readonly inode: bigint; readonly size: number }
  /** Both ends of one sync have one token. */
  | { readonly kind: "sync-begin" | "sync-end"; readonly inode: bigint; readonly token: bigint };

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** By the numbers of recorder.c. */
const KINDS = [
  ...["", "create", "write", "zeros", "truncate", "extend", "sync-begin", "sync-end"],
  ...["rename", "link", "unlink", "mkdir", "rmdir", "own"],
];
const HEADER_BYTES = 32;

/** Every record that is whole in `log` from `first` on, with where it ends. */
export function* readRecords(log: Buffer, first: number): Generator<{ record: LogRecord; end: number }> {
  for (let at = first; at + HEADER_BYTES <= log.length; ) {
    const end = at + log.readUInt32LE(at);
    if (end > log.length) return;
    yield { record: toRecord(log.subarray(at, end)), end };
    at = end;
  }
}

function toRecord(bytes: Buffer): LogRecord {
  const kind = KINDS[bytes.readUInt8(4)] ?? "";
  const pathEnd = HEADER_BYTES + bytes.readUInt16LE(6);
  const [inode, offset, size] = [
    bytes.readBigUInt64LE(8),
    bytes.readBigUInt64LE(16),
    Number(bytes.readBigUInt64LE(24)),
  ];
  const path = bytes.toString("utf8", HEADER_BYTES, pathEnd);
  const rest = bytes.subarray(pathEnd);
  switch (kind) {
    case "create":
    case "mkdir":
      return { kind, path, inode, owner: toOwner(bytes) };
    case "own":
      return { kind, path, owner: toOwner(bytes) };
    case "unlink":
    case "rmdir":
      return { kind, path };
    case "rename":
    case "link":
      return { kind, path, to: rest.toString() };
    case "write":
      return { kind, inode, offset: Number(offset), bytes: rest };
    case "zeros":
      return { kind, inode, offset: Number(offset), size };
    case "truncate":
    case "extend":
      return { kind, inode, size };
    case "sync-begin":
    case "sync-end":
      return { kind, inode, token: offset };
    default:
      throw new Error(`no record is of kind ${bytes.readUInt8(4)}`);
  }
}

/** In the place of the size. */
const toOwner = (bytes: Buffer): Owner => ({ uid: bytes.readUInt32LE(28), gid: bytes.readUInt32LE(24) });
