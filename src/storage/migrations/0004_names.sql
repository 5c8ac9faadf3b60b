-- 0004_names.sql: names that repositories had.

-- (owner: storage/repository-names.ts) a row for each name that a repository gave up, or came to by a move.
create table repository_names (
  name            text        collate "C" primary key,
  epoch           integer     not null,             -- tokens name it: one of an earlier epoch meant another repository
  reserved_until  timestamptz,                      -- until then no push makes a repository of this name
  held_for        bigint                            -- the repository that was moved away, which alone may come back; null: deleted
);
