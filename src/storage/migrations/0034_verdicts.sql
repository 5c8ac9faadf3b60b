-- 0034_verdicts.sql: the registry's own policies, what they make of images, and when that has to be judged again.

-- (owner: verdicts/policies-store.ts) who must have signed what is pulled from repositories of an organization, or promoted
-- into them. Its rules stand in the document, as design.md's policy document has them.
create table policies (
  id          bigint      generated always as identity primary key,
  org         text        collate "C" not null references namespaces (name) on delete cascade,
  name        text        collate "C" not null check (name ~ '^[a-z0-9]+([_-][a-z0-9]+)*$' and length(name) between 2 and 32),
  mode        text        not null check (mode in ('off', 'warn', 'enforce')),
  document    jsonb       not null,
  created_at  timestamptz not null default now(),
  unique (org, name)
);

-- (owner: verdicts/watch-store.ts) one number that rises with every change of what rules and people are: keys, accounts,
-- teams, policies. See 0013_rights_version.sql for how.
create table verdict_people (
  one         boolean  primary key default true check (one),
  version     bigint   not null,
  changed_by  xid8
);
insert into verdict_people (version) values (1);

-- (owner: verdicts/watch-store.ts) a row for each repository of an organization that has policies. The version is another
-- one after every change of what a verdict on its images rests on: manifests, tags, and trust data where rules look for it.
create sequence verdict_versions;
create table verdict_repositories (
  repository_id   bigint       primary key references repositories (id) on delete cascade,
  version         bigint       not null default nextval('verdict_versions'),
  changed_by      xid8,                                -- the transaction that raised it: once is enough for each
  -- Transactions that had begun before this row was there may not have seen it: while some of those go on, no verdict is kept.
  after           xid8,                                -- null: not asked for yet
  settled         boolean      not null default false,
  judged_version  bigint,                              -- everything tagged was judged by this version,
  judged_people   bigint,                              -- and by this one of verdict_people;
  due_at          timestamptz                          -- and it holds until then
);

-- (owner: verdicts/watch-store.ts) in whose trust data the rules for a repository look.
create table verdict_sources (
  source         text    collate "C" not null,         -- a repository's name, its own too
  repository_id  bigint  not null references verdict_repositories (repository_id) on delete cascade,
  primary key (source, repository_id)
);
create index verdict_sources_repository on verdict_sources (repository_id);

-- (owner: verdicts/verdicts-store.ts) what a policy made of an image; true while repository and people have these versions,
-- and until `until`.
create table verdicts (
  repository_id  bigint       not null references repositories (id) on delete cascade,
  policy_id      bigint       not null references policies (id) on delete cascade,
  tag            text         collate "C" not null,    -- empty: named by digest alone
  digest         text         collate "C" not null,
  version        bigint       not null,
  people         bigint       not null,
  allowed        boolean      not null,
  until          timestamptz,                          -- null: nothing it rests on runs out
  verdict        jsonb        not null,
  judged_at      timestamptz  not null,
  noticed_at     timestamptz,                          -- when somebody last pulled in spite of it
  primary key (repository_id, tag, digest, policy_id)
);
create index verdicts_policy on verdicts (policy_id);

-- A repository is watched as soon as its organization has a policy. Whoever makes a repository shares a lock on the namespace
-- that whoever changes policies holds alone, so of the two one sees the other.
create function verdict_watch(repository bigint) returns void language plpgsql as $$
begin
  insert into verdict_repositories as w (repository_id)
  select r.id from repositories r where r.id = repository and exists (select from policies p where p.org = r.namespace)
  on conflict (repository_id) do update
    set version = excluded.version, changed_by = null, after = null, settled = false;
  if not found then
    delete from verdict_repositories where repository_id = repository;
    return;
  end if;
  delete from verdict_sources where repository_id = repository;
  insert into verdict_sources (source, repository_id)
  select r.name, r.id from repositories r where r.id = repository
  union
  select replace(g.row ->> 'gun', '{name}', substr(r.name, length(r.namespace) + 2)), r.id
  from repositories r join policies p on p.org = r.namespace
  cross join lateral jsonb_array_elements(p.document -> 'require') as g (row)
  where r.id = repository and g.row ? 'gun';
end $$;

create function verdict_repository_changed() returns trigger language plpgsql as $$
begin
  perform verdict_watch(new.id);
  return null;
end $$;
create trigger verdict_repository_changed after insert or update of name, namespace on repositories
  for each row execute function verdict_repository_changed();

-- All of them are deferred: a row is locked for the commit alone.
create function verdict_people_changed() returns trigger language plpgsql as $$
begin
  update verdict_people set version = version + 1, changed_by = pg_current_xact_id()
  where changed_by is distinct from pg_current_xact_id();
  return null;
end $$;
create constraint trigger verdict_people_changed after insert or update or delete on policies
  deferrable initially deferred for each row execute function verdict_people_changed();
create constraint trigger verdict_people_changed after insert or update of proved_at, removed_at or delete on user_keys
  deferrable initially deferred for each row execute function verdict_people_changed();
create constraint trigger verdict_people_changed after update of name, suspended or delete on users
  deferrable initially deferred for each row execute function verdict_people_changed();
create constraint trigger verdict_people_changed after insert or update or delete on org_members
  deferrable initially deferred for each row execute function verdict_people_changed();
create constraint trigger verdict_people_changed after insert or update or delete on teams
  deferrable initially deferred for each row execute function verdict_people_changed();
create constraint trigger verdict_people_changed after insert or update or delete on team_members
  deferrable initially deferred for each row execute function verdict_people_changed();

create function verdict_content_changed() returns trigger language plpgsql as $$
begin
  update verdict_repositories set version = nextval('verdict_versions'), changed_by = pg_current_xact_id()
  where repository_id = case when tg_op = 'DELETE' then old.repository_id else new.repository_id end
    and changed_by is distinct from pg_current_xact_id();
  return null;
end $$;
create constraint trigger verdict_content_changed after insert or update of quarantined_at or delete on manifests
  deferrable initially deferred for each row execute function verdict_content_changed();
create constraint trigger verdict_content_changed after insert or update of manifest_digest or delete on tags
  deferrable initially deferred for each row execute function verdict_content_changed();

-- Whoever publishes anything publishes a timestamp.
create function verdict_trust_changed() returns trigger language plpgsql as $$
begin
  update verdict_repositories w set version = nextval('verdict_versions'), changed_by = pg_current_xact_id()
  from trust_collections c join verdict_sources s on s.source = substr(c.gun, strpos(c.gun, '/') + 1)
  where c.id = case when tg_op = 'DELETE' then old.collection_id else new.collection_id end
    and w.repository_id = s.repository_id and w.changed_by is distinct from pg_current_xact_id();
  return null;
end $$;
create constraint trigger verdict_trust_changed after insert or update on trust_current
  deferrable initially deferred for each row when (new.role = 'timestamp') execute function verdict_trust_changed();
create constraint trigger verdict_trust_deleted after delete on trust_current
  deferrable initially deferred for each row when (old.role = 'timestamp') execute function verdict_trust_changed();
