-- 0010_sign_in_failures.sql (owner: orgs/sign-in-limits.ts): bad passwords of the last minute, by account and by source.
-- Rows, so that they outlive a restart and all processes see the same; a sign-in that is right writes nothing here.
create table sign_in_failures (
  kind       text          not null check (kind in ('account', 'source')),
  key_hash   bytea         not null,             -- SHA-256: people type passwords where the name goes
  failed_at  timestamptz[] not null,             -- newest first, one more than is allowed in a minute
  primary key (kind, key_hash)
);
