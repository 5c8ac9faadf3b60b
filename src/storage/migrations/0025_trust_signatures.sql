-- 0025_trust_signatures.sql (owner: notary/signatures-store.ts): which tags were signed, signed anew for another image, or
-- revoked, written in the transaction of the publish that did it. It belongs to the repository and goes with it: whoever has
-- the name afterwards sees nothing of what was there. It outlives the trust data, whose readers are the same.
create table trust_signatures (
  id             bigint      generated always as identity primary key,
  repository_id  bigint      not null references repositories (id) on delete cascade,
  at             timestamptz not null,
  kind           text        not null check (kind in ('signed', 're-signed', 'revoked', 'deleted')),
  tag            text        collate "C" not null,  -- a target's name; empty: all of them (deleted)
  role           text        collate "C" not null,
  digest         text        collate "C" not null,  -- signed, or revoked; empty: it has no SHA-256
  previous       text        collate "C" not null,  -- re-signed: what it was before
  version        bigint      not null,              -- of the role's file
  key_ids        text[]      not null,              -- canonical, of the keys that signed that file
  spkis          text[]      not null               -- of the same keys, hex SHA-256: by these they lead to people
);
create index trust_signatures_newest on trust_signatures (repository_id, id desc);
create index trust_signatures_tag on trust_signatures (repository_id, tag, id desc);
