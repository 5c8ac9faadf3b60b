-- 0021_user_keys.sql (owner: orgs/user-keys-store.ts): the public keys that people sign with. A key is its DER
-- SubjectPublicKeyInfo, whether it came bare or in a certificate.

-- Whose a key is, for ever, from the first proof of possession on. It outlives the removal of the key, and the user: ids are
-- never used again, so no later user of the name inherits the key.
create table key_owners (
  spki_sha256  bytea        primary key check (length(spki_sha256) = 32),
  user_id      bigint       not null,
  since        timestamptz  not null,
  unique (spki_sha256, user_id)
);

-- Any number of people may claim a key; only its owner can have proved it.
create table user_keys (
  user_id      bigint       not null references users (id) on delete cascade,
  spki_sha256  bytea        not null check (length(spki_sha256) = 32),
  name         text         collate "C" not null check (length(name) between 1 and 64),
  algorithm    text         not null check (algorithm in ('ecdsa', 'rsa', 'ed25519')),
  public_key   bytea        not null,              -- as in a TUF file: 32 bytes, or DER SubjectPublicKeyInfo
  key_ids      text[]       collate "C" not null check (cardinality(key_ids) between 1 and 16),  -- TUF key ids: bare, in certificates
  added_at     timestamptz  not null,
  proved_at    timestamptz,                        -- null: it counts for nobody
  removed_at   timestamptz  check (removed_at is null or proved_at is not null),  -- a bare claim leaves no row
  proved_spki  bytea        generated always as (case when proved_at is not null then spki_sha256 end) stored unique,
  primary key (user_id, spki_sha256),
  foreign key (proved_spki, user_id) references key_owners (spki_sha256, user_id)
);
create unique index user_keys_name on user_keys (user_id, name) where removed_at is null;
create index user_keys_ids on user_keys using gin (key_ids) where proved_at is not null and removed_at is null;

-- What the holder of the private half has to sign; the newest of a key counts, once.
create table user_key_challenges (
  user_id      bigint       not null,
  spki_sha256  bytea        not null,
  challenge    bytea        not null check (length(challenge) = 32),
  expires_at   timestamptz  not null,
  primary key (user_id, spki_sha256),
  foreign key (user_id, spki_sha256) references user_keys (user_id, spki_sha256) on delete cascade
);
