-- 0022_org_signers.sql (owner: notary/org-signers-store.ts): the keys that this server signs tags with for an organization or
-- user, one for each purpose; a GUN's owner delegates to them. The private half is sealed by the key ring.
create table org_signers (
  org         text         collate "C" not null references namespaces (name) on delete cascade,
  purpose     text         not null check (purpose in ('auto', 'promote')),
  key_id      text         collate "C" not null,
  public_key  bytea        not null,               -- DER SubjectPublicKeyInfo on P-256
  sealed_by   text         not null,
  sealed      bytea        not null,
  created_at  timestamptz  not null,
  primary key (org, purpose)
);
