-- 0015_scrub.sql (owner: storage/integrity/scrub-store.ts): how fast bytes are held against their digests in the
-- background, and what came of it so far. Where it is says `checked_at` of each object.
create table scrub (
  one               boolean     primary key default true check (one),
  bytes_per_second  bigint      not null default 4194304 check (bytes_per_second >= 0),  -- 0: never
  every_days        integer     not null default 7 check (every_days >= 0),              -- nothing is read more often
  version           bigint      not null default 1,                                      -- of these two
  objects           bigint      not null default 0,
  bytes             bigint      not null default 0,
  damaged           bigint      not null default 0,
  last_at           timestamptz
);
insert into scrub default values;
