-- 0052_directory_owners.sql: a directory's rule can make owners of an organization, and ends only what it began.

-- (owner: orgs/orgs-store.ts) the directory whose sync made this member an owner; null: a person did, or it is none.
alter table org_members add column owner_directory text;
