-- 0043_bridge_policies.sql (owner: verdicts/bridge-policy-store.ts): every policy document that was handed in for bridges,
-- in the order in which it came; the last one counts. Nothing is ever changed or deleted here.
create table bridge_policies (
  id               bigint       generated always as identity primary key,
  version          bigint       not null check (version >= 1),  -- the document's; twice for one document with more signatures
  expires_at       timestamptz  not null,
  envelope         bytea        not null check (length(envelope) <= 1048576),  -- as received
  envelope_sha256  bytea        not null unique check (length(envelope_sha256) = 32),
  payload_sha256   bytea        not null check (length(payload_sha256) = 32),
  signers          jsonb        not null,                       -- [{keyId, user}], as they were known then
  people           text[]       not null,                       -- whom the document names: they may read it
  put_by           text         not null,
  put_at           timestamptz  not null
);
create index bridge_policies_version on bridge_policies (version, id);
