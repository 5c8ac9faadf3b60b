-- 0037_auto_sign_rules.sql (owner: storage/auto-sign-rules.ts): tags that the server signs as part of the push.
create table auto_sign_rules (
  repository_id  bigint  not null references repositories (id) on delete cascade,
  name           text    collate "C" not null,
  tags           text[]  not null check (cardinality(tags) between 1 and 32),  -- patterns, as they were given
  likes          text[]  not null,                                             -- the same, as LIKE reads them
  primary key (repository_id, name)
);
