-- 0039_image_history.sql: what tags came to name, and tags that stay what they are.

-- (owner: storage/image-history.ts) when which tag came to name which image, and how. It goes with its repository: whoever has
-- the name afterwards sees nothing of it.
create table image_history (
  id             bigint       generated always as identity primary key,
  repository_id  bigint       not null references repositories (id) on delete cascade,
  at             timestamptz  not null,
  kind           text         not null check (kind in ('pushed', 'promoted', 'reversed', 'approved', 'rejected')),
  digest         text         collate "C" not null,
  tag            text         collate "C",          -- null: pushed by its digest alone
  actor          text         collate "C" not null, -- a user, a robot, or the policy that did it
  user_id        bigint,                            -- of the actor, where that is a person; ids are never used again
  detail         jsonb        not null default '{}'
);
create index image_history_digest on image_history (digest, id);
create index image_history_repository on image_history (repository_id, tag, id);

-- Whose signatures of one image there are. (owner of the table: notary/signatures-store.ts)
create index trust_signatures_digest on trust_signatures (digest, id);

-- (owner: storage/immutable-tags.ts) tags that match never name another image. `*` stands for any characters.
create table immutable_tags (
  repository_id  bigint  not null references repositories (id) on delete cascade,
  pattern        text    collate "C" not null check (pattern ~ '^[A-Za-z0-9_.*-]{1,128}$'),
  likeness       text    collate "C" not null generated always as (replace(replace(pattern, '_', '\_'), '*', '%')) stored,
  primary key (repository_id, pattern)
);
