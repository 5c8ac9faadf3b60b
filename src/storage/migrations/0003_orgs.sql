-- 0003_orgs.sql: organizations, their teams, and what teams may do.

-- Visibility of a repository that a first push makes.
alter table namespaces add column default_visibility text not null default 'private'
  check (default_visibility in ('public', 'private'));

-- Sees lists and metadata of everything, content of nothing.
alter table users add column auditor boolean not null default false;

-- (owner: orgs/orgs-store.ts) people of an organization; owners do everything in it.
create table org_members (
  org      text   collate "C" not null references namespaces (name) on delete cascade,
  user_id  bigint not null references users (id) on delete cascade,
  role     text   not null check (role in ('owner', 'member')),
  primary key (org, user_id)
);
create index org_members_user on org_members (user_id, org);

-- (owner: orgs/teams-store.ts) an id is never used again: a team made anew has nothing of an old one of its name.
create table teams (
  id          bigint      generated always as identity primary key,
  org         text        collate "C" not null references namespaces (name) on delete cascade,
  name        text        collate "C" not null check (name ~ '^[a-z0-9]+([_-][a-z0-9]+)*$' and length(name) between 2 and 32),
  created_at  timestamptz not null default now(),
  unique (org, name),
  unique (id, org)
);

-- (owner: orgs/teams-store.ts) who leaves the organization leaves its teams.
create table team_members (
  team_id  bigint  not null,
  org      text    collate "C" not null,
  user_id  bigint  not null,
  admin    boolean not null default false,          -- may add and remove members of this team
  primary key (team_id, user_id),
  foreign key (team_id, org) references teams (id, org) on delete cascade,
  foreign key (org, user_id) references org_members (org, user_id) on delete cascade
);
create index team_members_user on team_members (user_id, org, team_id);

-- A repository in another namespace is out of reach of a team: the foreign key of grants says so.
alter table repositories add constraint repositories_place unique (id, namespace);
create index repositories_public on repositories (name) where visibility = 'public';

-- (owner: orgs/grants-store.ts) additive, the highest wins, and nothing denies.
create table grants (
  team_id        bigint not null,
  org            text   collate "C" not null,
  repository_id  bigint,                            -- null: every repository of the organization, those to come too
  scope_id       bigint not null generated always as (coalesce(repository_id, 0)) stored,  -- an index finds both kinds
  level          text   not null check (level in ('read-only', 'read-write', 'admin')),
  extra          text[] not null default '{}' check (extra <@ array['sign', 'promote', 'delete']),
  constraint grants_scope unique (team_id, scope_id),
  foreign key (team_id, org) references teams (id, org) on delete cascade,
  foreign key (repository_id, org) references repositories (id, namespace) on delete cascade
);
create index grants_repository on grants (repository_id);
