/**
 * A column of look-ups that join `repositories r`: what verdicts on its images rest on, as `<version>.<people>`. Null where
 * no policy concerns the repository; empty while nothing can be relied on yet. (owner of the rows: verdicts/watch-store.ts;
 * 0034_verdicts.sql says what raises the versions) PostgreSQL reads the second one once for all rows, where there is one.
 */
export const WATCH = `case when w.settled then w.version || '.' || (select version from verdict_people)
  when w.repository_id is not null then '' end as watch`;
export const WATCH_JOIN = "left join verdict_repositories w on w.repository_id = r.id";
