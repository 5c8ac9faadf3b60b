import { UsageError } from "./errors.ts";

const UNITS: readonly string[] = ["B", "KiB", "MiB", "GiB", "TiB"];

/** Bytes as people read them: `1.5 GiB`. */
export function formatBytes(bytes: number): string {
  const power = Math.min(UNITS.length - 1, bytes < 1 ? 0 : Math.floor(Math.log2(bytes) / 10));
  return `${(bytes / 1024 ** power).toFixed(power === 0 ? 0 : 1)} ${UNITS[power]}`;
}

/** `8MiB`, `512 KiB` or plain bytes. @throws UsageError */
export function parseBytes(text: string): number {
  const [, digits = "", unit = "B"] = /^(\d{1,12})\s*([KMGT]iB|B)?$/.exec(text) ?? [];
  if (digits === "") throw new UsageError(`${JSON.stringify(text)} is no size: 4194304, 512KiB, 8MiB, 1GiB`);
  return Number(digits) * 1024 ** UNITS.indexOf(unit);
}

/** `40 s`, `12 min`, `3 h`, `2 d`. */
export function formatSeconds(seconds: number): string {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5_400) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3_600)} h` : `${Math.round(seconds / 86_400)} d`;
}
