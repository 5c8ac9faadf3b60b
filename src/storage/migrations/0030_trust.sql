-- 0030_trust.sql: trust data of the Notary v1 API.

-- (owner: notary/metadata-store.ts) a GUN that had trust data once. Its row is what publishes wait for each other on.
create table trust_collections (
  id          bigint      generated always as identity primary key,
  gun         text        collate "C" not null unique check (length(gun) between 1 and 255),
  created_at  timestamptz not null
);

-- (owner: notary/metadata-store.ts) the exact bytes received or signed; every version stays until the GUN is deleted.
create table trust_files (
  collection_id  bigint      not null references trust_collections (id),
  role           text        collate "C" not null check (length(role) <= 255),
  version        bigint      not null check (version > 0),
  sha256         bytea       not null check (length(sha256) = 32),
  content        bytea       not null,
  expires_at     timestamptz not null,
  created_at     timestamptz not null,
  primary key (collection_id, role, version)
);
alter table trust_files alter column content set storage external;
create index trust_files_sha256 on trust_files (collection_id, role, sha256);

-- (owner: notary/metadata-store.ts) the highest version of each role. warn_at is when 70 % of its life are over.
create table trust_current (
  collection_id  bigint      not null,
  role           text        collate "C" not null,
  version        bigint      not null,
  signed_at      timestamptz not null,
  expires_at     timestamptz not null,
  warn_at        timestamptz not null,
  primary key (collection_id, role),
  foreign key (collection_id, role, version) references trust_files (collection_id, role, version)
);
create index trust_current_signed on trust_current (signed_at, collection_id) where role in ('timestamp', 'snapshot');
create index trust_current_warn on trust_current (warn_at);

-- (owner: notary/changefeed-store.ts) one row for each timestamp, and for each deletion of what a GUN had.
create table trust_changes (
  id          bigint      generated always as identity primary key,
  created_at  timestamptz not null,
  gun         text        collate "C" not null,
  version     bigint      not null,                -- 0: deletion
  sha256      text        not null,                -- hex, of the timestamp; empty: deletion
  category    text        not null check (category in ('update', 'deletion'))
);
create index trust_changes_gun on trust_changes (gun, id);

-- (owner: notary/server-keys-store.ts) keys this server signs with; the private half is sealed by the key ring. They
-- outlive the trust data: who has an old root can still be led on.
create table trust_keys (
  gun            text        collate "C" not null,
  role           text        not null check (role in ('snapshot', 'timestamp')),
  key_id         text        collate "C" not null,
  algorithm      text        not null check (algorithm in ('ed25519', 'ecdsa')),
  public_key     bytea       not null,             -- as in a file's key: 32 bytes, or DER SubjectPublicKeyInfo
  sealed_by      text        not null,
  sealed         bytea       not null,
  created_at     timestamptz not null,
  first_used_at  timestamptz,                      -- null: pending, it never signed
  primary key (gun, role, key_id)
);
create unique index trust_keys_pending on trust_keys (gun, role) where first_used_at is null;
