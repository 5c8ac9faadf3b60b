-- 0001_identity.sql: who there is, which repositories there are, and the keys that the token service signs with.

-- (owner: orgs/users-store.ts) one name space for users and organizations.
create table namespaces (
  name        text        collate "C" primary key check (name ~ '^[a-z0-9]+([_-][a-z0-9]+)*$' and length(name) between 2 and 32),
  kind        text        not null check (kind in ('user', 'org')),
  created_at  timestamptz not null default now()
);

create table users (
  id             bigint      generated always as identity primary key,
  name           text        collate "C" not null unique references namespaces (name),
  password_hash  text        not null,             -- PHC string, argon2id
  system_admin   boolean     not null default false,
  suspended      boolean     not null default false,
  token_epoch    integer     not null default 0,   -- tokens name it; a changed password raises it and ends them all
  created_at     timestamptz not null default now()
);

-- (owner: storage/repository-store.ts) the first component of the name is its namespace.
create table repositories (
  id          bigint      generated always as identity primary key,
  name        text        collate "C" not null unique check (length(name) <= 255),
  namespace   text        collate "C" not null references namespaces (name),
  visibility  text        not null default 'private' check (visibility in ('public', 'private')),
  created_at  timestamptz not null default now()
);
create index repositories_namespace on repositories (namespace, name);

-- (owner: keys/key-ring-store.ts) proves at start that this process holds the ring that sealed the rows.
create table key_ring_checks (
  key_id  text  primary key,
  sealed  bytea not null
);

-- (owner: orgs/token-keys-store.ts) keys of the token service; the private half is sealed by the key ring.
create table token_keys (
  kid         text        primary key,
  public_jwk  jsonb       not null,
  sealed_by   text        not null,
  sealed      bytea       not null,
  created_at  timestamptz not null default now(),
  retired_at  timestamptz                          -- signs nothing from then on; verifies until its tokens are over
);

-- (owner: orgs/refresh-tokens-store.ts) identity tokens of docker login; only a hash is kept.
create table refresh_tokens (
  token_hash  bytea       primary key,
  user_id     bigint      not null references users (id) on delete cascade,
  service     text        not null,
  client_id   text        not null,
  token_epoch integer     not null,                -- dead once the user's own has moved on
  created_at  timestamptz not null default now(),
  used_at     timestamptz not null default now()
);
create index refresh_tokens_user on refresh_tokens (user_id);
