-- 0024_garbage.sql: since when nothing keeps a row. Ages are measured here alone, on the database's clock.

-- (owner: storage/manifest-store.ts) no tag, pin, index or subject leads to it; whoever leads to it again clears this.
alter table manifests add column unreferenced_at timestamptz;
create index manifests_unreferenced on manifests (repository_id, digest) where unreferenced_at is not null;

-- (owner: storage/blob-rows.ts) no manifest of the repository that is itself kept needs it.
alter table repository_blobs add column unreferenced_at timestamptz;
create index repository_blobs_unreferenced on repository_blobs (repository_id, digest) where unreferenced_at is not null;

-- (owner: storage/blob-rows.ts) a candidate for deletion: while this is set, the bytes may be gone. Whoever attaches the
-- blob to a repository clears it, and only after they saw the bytes.
alter table blobs add column unreferenced_at timestamptz;
create index blobs_unreferenced on blobs (digest) where unreferenced_at is not null;

create index upload_sessions_repository on upload_sessions (repository_id);

-- (owner: storage/pins.ts) what something other than a tag holds on to: a signature, a promotion, a deployment.
create table pins (
  repository_id  bigint      not null references repositories (id) on delete cascade,
  digest         text        collate "C" not null,
  kind           text        not null,
  owner          text        not null,             -- who pinned it, in the words of `kind`
  until          timestamptz,                      -- null: until it is taken away
  created_at     timestamptz not null default now(),
  primary key (repository_id, digest, kind, owner)
);

-- (owner: storage/gc-runs.ts) collections, the newest last; the one without an end is under way, or its process died.
create table gc_runs (
  id            bigint      generated always as identity primary key,
  dry_run       boolean     not null,
  started_at    timestamptz not null default now(),
  ended_at      timestamptz,
  outcome       text        check (outcome in ('done', 'held', 'failed')),
  reason        text,                              -- of one that is held or failed
  stage         text        not null default 'starting',
  marked        bigint      not null default 0,
  deleted       bigint      not null default 0,
  freed_bytes   bigint      not null default 0,
  skipped       bigint      not null default 0     -- somebody used them just then: the next run looks again
);

-- (owner: storage/gc-runs.ts) what a run deleted, or a dry run would; written in the transaction that deletes.
create table gc_items (
  run_id      bigint  not null references gc_runs (id) on delete cascade,
  id          bigint  generated always as identity,
  kind        text    not null check (kind in ('manifest', 'link', 'blob')),
  repository  text    collate "C",                 -- null: bytes, which are no repository's
  digest      text    collate "C" not null,
  size        bigint  not null,
  primary key (run_id, id)
);

-- (owner: storage/gc-runs.ts) how many runs have begun. The blob store keeps the same number: where its is higher, this
-- database is an older one than the bytes belong to.
create table gc_mark (
  single  boolean primary key default true check (single),
  runs    bigint  not null default 0
);
insert into gc_mark default values;
create index gc_items_doomed on gc_items (run_id, kind, digest);
