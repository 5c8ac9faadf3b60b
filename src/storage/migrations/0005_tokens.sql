-- 0005_tokens.sql: what programs sign in with.

-- (owner: orgs/personal-tokens-store.ts) stands for its user in everything; only a hash is kept.
create table personal_tokens (
  id            bigint      generated always as identity primary key,
  user_id       bigint      not null references users (id) on delete cascade,
  name          text        collate "C" not null,
  token_hash    bytea       not null unique,
  expires_at    timestamptz,
  created_at    timestamptz not null default now(),
  last_used_at  timestamptz,                        -- to the minute
  unique (user_id, name)
);

-- An identity token that docker got for a personal token ends with it.
alter table refresh_tokens add column personal_token_id bigint references personal_tokens (id) on delete cascade;
create index refresh_tokens_personal on refresh_tokens (personal_token_id) where personal_token_id is not null;

-- (owner: orgs/robots-store.ts) an account of an organization for programs; signs in as org+name.
create table robots (
  id          bigint      generated always as identity primary key,
  org         text        collate "C" not null references namespaces (name) on delete cascade,
  name        text        collate "C" not null check (name ~ '^[a-z0-9]+([_-][a-z0-9]+)*$' and length(name) between 2 and 32),
  full_name   text        collate "C" not null generated always as (org || '+' || name) stored unique,
  expires_at  timestamptz,
  created_at  timestamptz not null default now(),
  unique (id, org)
);
create index robots_org on robots (org, name);

-- (owner: orgs/robots-store.ts) more than one only while a rotation overlaps.
create table robot_secrets (
  id            bigint      generated always as identity primary key,
  robot_id      bigint      not null references robots (id) on delete cascade,
  secret_hash   bytea       not null unique,
  expires_at    timestamptz,                        -- null: until it is rotated
  created_at    timestamptz not null default now(),
  last_used_at  timestamptz                         -- to the minute
);
create index robot_secrets_robot on robot_secrets (robot_id);

-- (owner: orgs/robots-store.ts) one repository, which a robot follows when it is renamed, or all names that begin so.
create table robot_grants (
  robot_id       bigint not null,
  org            text   collate "C" not null,
  repository_id  bigint,
  prefix         text   collate "C",
  actions        text[] not null check (actions <@ array['pull', 'push', 'delete', 'sign', 'promote', 'create']),
  check ((repository_id is null) <> (prefix is null)),
  constraint robot_grants_scope unique nulls not distinct (robot_id, repository_id, prefix),
  foreign key (robot_id, org) references robots (id, org) on delete cascade,
  foreign key (repository_id, org) references repositories (id, namespace) on delete cascade
);
create index robot_grants_repository on robot_grants (repository_id);

-- Whoever began an upload: ids of users and of robots are not of one kind.
alter table upload_sessions alter column user_id type text
  using case when user_id = 0 then 'anonymous' else 'user:' || user_id end;
alter table upload_sessions rename column user_id to principal;
