-- 0012_directories.sql: users who sign in by a directory (LDAP), and what is remembered of it. Without such a row a user
-- is local.

-- (owner: orgs/ldap/directory-store.ts) whose password and groups a directory decides.
create table directory_users (
  user_id      bigint      primary key references users (id) on delete cascade,
  directory    text        not null,             -- name in the configuration
  external_id  text        not null,             -- what the directory calls the entry for ever; names may change
  dn           text        not null,
  grace_hash   text,                             -- argon2id of the password that the directory took last
  verified_at  timestamptz,                      -- when it did
  gone_at      timestamptz,                      -- suspended by a sync: the directory has the entry no longer
  unique (directory, external_id)
);

-- (owner: orgs/ldap/directory-store.ts) members that a sync put into a team, and may take out again. Those whom an
-- owner put there are not in here and stay.
create table directory_team_members (
  team_id    bigint not null,
  user_id    bigint not null,
  directory  text   not null,
  primary key (team_id, user_id, directory),
  foreign key (team_id, user_id) references team_members (team_id, user_id) on delete cascade
);

-- (owner: orgs/ldap/directory-store.ts) one process at a time syncs a directory.
create table directory_syncs (
  directory   text        primary key,
  started_at  timestamptz not null,
  ended_at    timestamptz,
  outcome     text
);
