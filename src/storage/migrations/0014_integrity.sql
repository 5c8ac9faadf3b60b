-- 0014_integrity.sql: when bytes were last held against their digests, and which of them are not what they should be.

-- (owner: storage/blob-rows.ts) checked_at: when its bytes were last hashed, as they came in or by a check.
-- quarantined_at: they are missing or damaged; the blob counts as absent until somebody pushes it again or a check
-- finds it whole. adopted_at: bytes that had no row when the collector found them; null again once somebody has it.
alter table blobs
  add column checked_at timestamptz not null default now(),
  add column quarantined_at timestamptz,
  add column adopted_at timestamptz;
create index blobs_checked on blobs (checked_at, digest);
create index blobs_quarantined on blobs (digest) where quarantined_at is not null;
create index blobs_adopted on blobs (digest) where adopted_at is not null;

-- (owner: storage/manifest-store.ts) the same of manifests, whose bytes are in their rows.
alter table manifests
  add column checked_at timestamptz not null default now(),
  add column quarantined_at timestamptz;
create index manifests_checked on manifests (checked_at, repository_id, digest);
create index manifests_quarantined on manifests (repository_id, digest) where quarantined_at is not null;

-- (owner: storage/s3-objects.ts) objects that were (a part of) the blob `digest`, and are kept for an operator. They have
-- no row in s3_objects any more, so nothing that sweeps there can take them for leavings.
create table s3_quarantine (
  key       text        collate "C" primary key,
  digest    text        collate "C" not null,
  position  integer     not null,
  size      bigint      not null,
  at        timestamptz not null default now()
);

-- (owner: storage/integrity/quarantine.ts) each time something was set aside; the newest of a digest is the one that
-- the mark on its row is about.
create table quarantine (
  id             bigint      generated always as identity primary key,
  kind           text        not null check (kind in ('blob', 'manifest')),
  repository_id  bigint,                           -- of a manifest
  digest         text        collate "C" not null,
  reason         text        not null check (reason in ('missing', 'size', 'digest', 'unreadable')),
  found          text        not null,             -- what there was in its place
  aside          text,                             -- where the blob store keeps that
  content        bytea,                            -- that, of a manifest
  at             timestamptz not null default now()
);
create index quarantine_digest on quarantine (digest, id);

-- (owner: storage/integrity/fsck-runs.ts) the one without an end is under way, or waits for a process to go on with it.
create table fsck_runs (
  id             bigint      generated always as identity primary key,
  mode           text        not null check (mode in ('sizes', 'sample', 'all')),
  sample         text,                             -- as it was asked for
  repair         boolean     not null,
  accept_loss    boolean     not null,
  started_at     timestamptz not null default now(),
  ended_at       timestamptz,
  outcome        text        check (outcome in ('done', 'failed')),
  reason         text,                             -- of one that failed
  stage          text        not null,
  place          text        not null default '',  -- in that stage: what lies before it is done
  threshold      bigint,                           -- of a sample: those whose hash is not above it belong to it
  total_objects  bigint      not null default 0,
  total_bytes    bigint      not null default 0,
  objects        bigint      not null default 0,   -- held against their digests so far
  bytes          bigint      not null default 0,
  skipped        bigint      not null default 0    -- could not be read just then
);

-- (owner: storage/integrity/fsck-runs.ts) once for each object, however often the run was taken up again.
create table fsck_findings (
  run_id      bigint  not null references fsck_runs (id) on delete cascade,
  id          bigint  generated always as identity,
  kind        text    not null check (kind in ('blob', 'manifest', 'object', 'upload')),
  repository  text    collate "C" not null default '',
  name        text    collate "C" not null,        -- a digest, or what the blob store calls it
  size        bigint  not null,
  reason      text    not null,
  found       text    not null,
  action      text    not null check (action in ('none', 'quarantined', 'lifted')),
  primary key (run_id, id),
  unique (run_id, kind, repository, name)
);
