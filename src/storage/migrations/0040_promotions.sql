-- 0040_promotions.sql: images that move on from one repository to the next.

-- (owner: promotion/policies-store.ts) what moves on by itself. It belongs to the repository that it moves images out of, and
-- does nothing until whoever administers the other one agrees to just this.
create table promotion_policies (
  id               bigint       generated always as identity primary key,
  source_id        bigint       not null references repositories (id) on delete cascade,
  name             text         collate "C" not null check (name ~ '^[a-z0-9]+([_-][a-z0-9]+)*$' and length(name) between 2 and 32),
  enabled          boolean      not null,
  terms            jsonb        not null,            -- rules, target, tag, approvals, gates: what is agreed to
  target           text         collate "C" not null,
  set_by           text         collate "C" not null,
  set_at           timestamptz  not null,
  accepted_for     bigint       references repositories (id) on delete set null,  -- the target, when it was agreed to
  accepted_by      text         collate "C",
  accepted_at      timestamptz,
  unique (source_id, name)
);
create index promotion_policies_target on promotion_policies (target, id);
create index promotion_policies_accepted on promotion_policies (accepted_for);

-- (owner: promotion/queue-store.ts) tags to hold against policies: written with the push, or with the signature, that is the
-- reason, and taken away with what came of it. So nothing that happens in between is lost.
create table promotion_queue (
  id             bigint       generated always as identity primary key,
  repository_id  bigint       not null references repositories (id) on delete cascade,
  tag            text         collate "C",           -- null: every tag of the digest
  digest         text         collate "C" not null,
  via            bigint[]     not null default '{}', -- policies that led here: none is gone through twice
  tries          integer      not null default 0,
  due            timestamptz  not null default now()
);
create index promotion_queue_due on promotion_queue (due, id);
create index promotion_queue_repository on promotion_queue (repository_id);

-- (owner: promotion/promotions-store.ts) one row for each asking, which outlives both repositories: names are as they were then.
create table promotions (
  id               bigint       generated always as identity primary key,
  state            text         not null check (state in ('pending', 'done', 'reversed', 'rejected', 'expired', 'superseded', 'failed')),
  reason           text,                             -- why it is neither pending nor done, and by whom
  source_id        bigint       references repositories (id) on delete set null,
  source           text         collate "C" not null,
  source_tag       text         collate "C",         -- null: asked for by digest
  destination_id   bigint       references repositories (id) on delete set null,  -- null: not there yet, or any more
  destination      text         collate "C" not null,
  tag              text         collate "C" not null,
  digest           text         collate "C" not null,
  previous         text         collate "C",         -- what the tag was until then; null: nothing
  policy_id        bigint       references promotion_policies (id) on delete set null,
  policy           text         collate "C",
  terms            jsonb        not null,            -- gates and approvals that it had to meet
  gates            jsonb        not null default '[]', -- how they were met
  asked_by         text         collate "C" not null,
  asked_by_user    bigint,                           -- a person's id: nobody approves what they asked for
  via              bigint[]     not null default '{}',
  asked_at         timestamptz  not null,
  expires_at       timestamptz  not null,
  ended_at         timestamptz,
  statement        bytea,                            -- of one that was done: the envelope,
  statement_digest text         collate "C",         -- and the manifest that refers to the image with it
  check ((state = 'pending') = (ended_at is null))
);
create index promotions_source on promotions (source_id, id);
create index promotions_destination on promotions (destination_id, id);
create index promotions_digest on promotions (digest, id);
create index promotions_policy on promotions (policy_id);
create index promotions_pending on promotions (expires_at) where state = 'pending';
-- One asking at a time for one image under one tag.
create unique index promotions_asked on promotions (destination, tag, digest, source) where state = 'pending';

-- (owner: promotion/approvals-store.ts) who agreed, in their own hand.
create table promotion_approvals (
  promotion_id  bigint       not null references promotions (id) on delete cascade,
  user_id       bigint       not null,               -- ids are never used again
  user_name     text         collate "C" not null,
  spki_sha256   bytea        not null check (length(spki_sha256) = 32),
  envelope      bytea        not null,
  at            timestamptz  not null,
  primary key (promotion_id, user_id)
);
