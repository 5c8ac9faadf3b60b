-- 0002_content.sql: what repositories hold. Bytes of blobs lie in the blob store, bytes of manifests here.

-- (owner: storage/blob-rows.ts) one row for each blob whose bytes are in the blob store.
create table blobs (
  digest      text        collate "C" primary key,
  size        bigint      not null check (size >= 0),
  created_at  timestamptz not null default now()
);

-- (owner: storage/blob-rows.ts) which repository may serve which blob.
create table repository_blobs (
  repository_id  bigint      not null references repositories (id) on delete cascade,
  digest         text        collate "C" not null references blobs (digest),
  created_at     timestamptz not null default now(),
  primary key (repository_id, digest)
);
create index repository_blobs_digest on repository_blobs (digest);

-- (owner: storage/upload-store.ts) an upload that any process can continue.
create table upload_sessions (
  id             text        primary key,
  repository_id  bigint      not null references repositories (id) on delete cascade,
  user_id        bigint      not null,
  algorithm      text        not null check (algorithm in ('sha256', 'sha512')),
  size           bigint      not null default 0,   -- bytes acknowledged
  digest         text,                             -- of everything so far, known after one segment that began at 0
  segments       text[]      not null default '{}', -- names in the blob store, in order
  created_at     timestamptz not null default now(),
  touched_at     timestamptz not null default now()
);
create index upload_sessions_touched on upload_sessions (touched_at);

-- (owner: storage/manifest-store.ts) the exact bytes received, and what other endpoints ask of them.
create table manifests (
  repository_id   bigint      not null references repositories (id) on delete cascade,
  digest          text        collate "C" not null,
  media_type      text        not null,
  content         bytea       not null,
  size            integer     not null,
  subject_digest  text        collate "C",
  artifact_type   text,
  annotations     text,                            -- JSON text, only where there is a subject: the referrers list shows it
  created_at      timestamptz not null default now(),
  primary key (repository_id, digest)
);
alter table manifests alter column content set storage external;
create index manifests_subject on manifests (repository_id, subject_digest, digest) where subject_digest is not null;

-- (owner: storage/manifest-store.ts) a referenced blob or child cannot be unlinked: the foreign keys say so.
create table manifest_blobs (
  repository_id    bigint not null,
  manifest_digest  text   collate "C" not null,
  blob_digest      text   collate "C" not null,
  primary key (repository_id, manifest_digest, blob_digest),
  constraint manifest_blobs_manifest foreign key (repository_id, manifest_digest)
    references manifests (repository_id, digest) on delete cascade,
  constraint manifest_blobs_blob foreign key (repository_id, blob_digest)
    references repository_blobs (repository_id, digest)
);
create index manifest_blobs_blob_digest on manifest_blobs (repository_id, blob_digest);

create table manifest_children (
  repository_id    bigint not null,
  manifest_digest  text   collate "C" not null,
  child_digest     text   collate "C" not null,
  primary key (repository_id, manifest_digest, child_digest),
  constraint manifest_children_manifest foreign key (repository_id, manifest_digest)
    references manifests (repository_id, digest) on delete cascade,
  constraint manifest_children_child foreign key (repository_id, child_digest)
    references manifests (repository_id, digest)
);
create index manifest_children_child_digest on manifest_children (repository_id, child_digest);

-- (owner: storage/manifest-store.ts) a tag is a movable name for one manifest in one repository.
create table tags (
  repository_id    bigint      not null references repositories (id) on delete cascade,
  name             text        collate "C" not null,  -- "C": ORDER BY is the ASCII order that end-8a asks for
  manifest_digest  text        collate "C" not null,
  updated_at       timestamptz not null default now(),
  primary key (repository_id, name),
  foreign key (repository_id, manifest_digest) references manifests (repository_id, digest) on delete cascade
);
create index tags_manifest on tags (repository_id, manifest_digest);
