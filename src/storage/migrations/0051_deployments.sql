-- 0051_deployments.sql: what the cluster runs, by the word of its bridge. Times are the database's.

-- (owner: storage/deployments.ts) since when an image runs as a service, or may be rolled back to. What is over stays as history.
create table deployments (
  id             bigint       generated always as identity primary key,
  repository_id  bigint       not null references repositories (id) on delete cascade,
  digest         text         collate "C" not null,
  environment    text         collate "C" not null,
  service        text         collate "C" not null,
  state          text         not null check (state in ('running', 'rollback')),
  since          timestamptz  not null default now(),
  until          timestamptz  not null,              -- when the bridge's word is no longer good; renewed by each of its lists
  ended_at       timestamptz                         -- null: the newest list has it
);
create unique index deployments_now on deployments (repository_id, digest, environment, service) where ended_at is null;
create index deployments_digest on deployments (digest, id);
