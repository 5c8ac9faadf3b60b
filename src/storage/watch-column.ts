/**
 * Two columns of look-ups that join `repositories r`: what verdicts on its images rest on. The first is null where no policy
 * concerns the repository, the second also while nothing can be relied on yet. (owner of the rows:
 * verdicts/watch-store.ts; 0034_verdicts.sql says what raises the versions) PostgreSQL reads the second one once for all
 * rows, where there is one; putting them together is left to us, for it costs more there.
 */
export const WATCH = "w.version as watch, case when w.settled then (select version from verdict_people) end as people";
export const WATCH_JOIN = "left join verdict_repositories w on w.repository_id = r.id";

/** `<version>.<people>`; empty while nothing can be relied on, undefined where no policy concerns the repository. */
export function toWatch(version: string | null | undefined, people: string | null | undefined): string | undefined {
  if (version === null || version === undefined) return undefined;
  return people === null || people === undefined ? "" : `${version}.${people}`;
}
