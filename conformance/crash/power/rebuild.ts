/** Writes out what a disk has after a power cut, and compares folders. */
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  copyFileSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import type { Random } from "../random.ts";
import { type Change, type Disk, type Inode, rename } from "./disk.ts";

/** Whether one more thing that was not synced is on the disk all the same. */
export type Luck = () => boolean;
/** Blocks of a write reach the disk one by one. */
const BLOCK_BYTES = 4096;

export const SYNCED_ONLY: Luck = () => false;
export const EVERYTHING: Luck = () => true;
/** Any of it, in any order, in pieces. */
export function chancy(random: Random): Luck {
  const share = random.next();
  return () => random.chance(share);
}

/** Makes the folder `target`. */
export function rebuild(disk: Disk, target: string, luck: Luck): void {
  writeOut(disk.root, target, luck);
}

function writeOut(inode: Inode, path: string, luck: Luck): void {
  if (inode.isFolder) {
    mkdirSync(path);
    for (const [name, entry] of namesOf(inode, luck)) writeOut(entry, join(path, name), luck);
  } else {
    writeFile(inode, path, luck);
  }
  if (process.getuid?.() === 0) chownSync(path, inode.owner.uid, inode.owner.gid);
  chmodSync(path, inode.mode);
}

function namesOf({ firstNames, changes, durable }: Inode, luck: Luck): Map<string, Inode> {
  const names = new Map(firstNames);
  for (const [index, change] of changes.entries()) {
    if (change.kind === "names" && (index < durable || luck())) rename(names, change);
  }
  return names;
}

function writeFile({ origin, changes, durable }: Inode, path: string, luck: Luck): void {
  if (origin !== undefined) copyFileSync(origin, path, constants.COPYFILE_FICLONE);
  if (origin !== undefined && changes.length === 0) return;
  const file = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
  try {
    for (const [index, change] of changes.entries()) {
      if (index < durable) writeChange(file, change, EVERYTHING);
      else writeChange(file, change, luck);
    }
  } finally {
    closeSync(file);
  }
}

function writeChange(file: number, change: Change, luck: Luck): void {
  if (change.kind === "size") {
    if (luck() && !(change.onlyMore && fstatSync(file).size >= change.size)) ftruncateSync(file, change.size);
  } else if (change.kind === "bytes" && luck === EVERYTHING) {
    writeSync(file, change.bytes, 0, change.bytes.length, change.offset);
  } else if (change.kind === "bytes") {
    const { bytes, offset } = change;
    for (let at = 0; at < bytes.length; ) {
      const next = Math.min(bytes.length, at + BLOCK_BYTES - ((offset + at) % BLOCK_BYTES));
      if (luck()) writeSync(file, bytes, at, next - at, offset + at);
      at = next;
    }
  }
}

/** Files of `folder` that `other` has not, or has with other bytes. */
export function findDifferences(folder: string, other: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true }).flatMap((entry) => {
    if (!entry.isFile()) return [];
    const path = join(entry.parentPath, entry.name).slice(folder.length + 1);
    const there = statSync(join(other, path), { throwIfNoEntry: false });
    if (there?.isFile() && readFileSync(join(folder, path)).equals(readFileSync(join(other, path)))) return [];
    return [path];
  });
}
