-- 0036_founding_keys.sql (owner: notary/founding-keys-store.ts): keys of the root and the targets of GUNs that this server founded,
-- sealed by the key ring. Once people take a GUN over the private halves are gone; that the keys were a server's stays known.
create table trust_founding_keys (
  gun         text        collate "C" not null,
  role        text        not null check (role in ('root', 'targets')),
  key_id      text        collate "C" not null,    -- of the bare key
  public_key  bytea       not null,                -- DER SubjectPublicKeyInfo on P-256
  sealed_by   text,
  sealed      bytea,
  created_at  timestamptz not null,
  dropped_at  timestamptz,
  primary key (gun, role, key_id),
  check ((sealed is null) = (dropped_at is not null) and (sealed_by is null) = (sealed is null))
);
create unique index trust_founding_keys_in_use on trust_founding_keys (gun, role) where dropped_at is null;

-- Whether a key is a server's is asked by the hash of the key.
create index trust_founding_keys_spki on trust_founding_keys (sha256(public_key));
create index org_signers_spki on org_signers (sha256(public_key));

-- What the server signs by itself is signed anew in good time.
create index trust_current_served on trust_current (expires_at, collection_id)
  where role in ('targets/goldseal-auto', 'targets/goldseal-promote');
