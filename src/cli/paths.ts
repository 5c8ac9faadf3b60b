import { UsageError } from "./errors.ts";

/** `/api/v1/…`, each part escaped. */
export function apiPath(...parts: readonly string[]): string {
  return `/api/v1/${parts.map(encodeURIComponent).join("/")}`;
}

/** `lab/team/app` → `lab` and `team/app`. @throws UsageError */
export function splitRepository(name: string): readonly [org: string, repo: string] {
  const slash = name.indexOf("/");
  if (slash < 0) throw new UsageError(`${JSON.stringify(name)} is no repository: it is <user or organization>/<name>`);
  return [name.slice(0, slash), name.slice(slash + 1)];
}

export function repositoryPath(name: string, ...rest: readonly string[]): string {
  const [org, repo] = splitRepository(name);
  return apiPath("orgs", org, "repositories", repo, ...rest);
}

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** `90d`, `12h`, `30m`, `45s` → seconds. @throws UsageError */
export function parseDuration(text: string): number {
  const [, count = "", unit = ""] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  const seconds = SECONDS[unit];
  if (seconds === undefined)
    throw new UsageError(`${JSON.stringify(text)} is no time; it is like 90d, 12h, 30m or 45s`);
  return Number(count) * seconds;
}

/** When `text` from now is over; undefined for no text. */
export function toExpiry(text: string | boolean | undefined): { expiresAt?: string } {
  if (typeof text !== "string") return {};
  return { expiresAt: new Date(Date.now() + parseDuration(text) * 1000).toISOString() };
}
