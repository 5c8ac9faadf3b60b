-- 0032_directory_members.sql: a membership that only a directory made ends with the directory's last word for it.

-- (owner: orgs/orgs-store.ts) the directory whose sync made the row; null: a person did, and only a person ends it.
alter table org_members add column directory text;
