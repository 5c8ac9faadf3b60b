-- 0013_rights_version.sql (owner: orgs/access-lookup.ts): one number that rises with every change of what a permission
-- depends on, in the change's own transaction. Facts that were read together with a number are true while it stands.
create table rights_version (
  one         boolean  primary key default true check (one),
  version     bigint   not null,
  changed_by  xid8                                  -- the transaction that raised it: once is enough for each
);
insert into rights_version (version) values (1);

create function rights_changed() returns trigger language plpgsql as $$
begin
  update rights_version set version = version + 1, changed_by = pg_current_xact_id()
  where changed_by is distinct from pg_current_xact_id();
  return null;
end $$;

-- Deferred: the row is locked last and for the commit alone, so no two changes wait for each other.
create constraint trigger rights_changed after insert or update or delete on namespaces
  deferrable initially deferred for each row execute function rights_changed();
create constraint trigger rights_changed after insert or update or delete on users
  deferrable initially deferred for each row execute function rights_changed();
create constraint trigger rights_changed after insert or update or delete on org_members
  deferrable initially deferred for each row execute function rights_changed();
create constraint trigger rights_changed after insert or update or delete on teams
  deferrable initially deferred for each row execute function rights_changed();
create constraint trigger rights_changed after insert or update or delete on team_members
  deferrable initially deferred for each row execute function rights_changed();
create constraint trigger rights_changed after insert or update or delete on grants
  deferrable initially deferred for each row execute function rights_changed();
create constraint trigger rights_changed after insert or update or delete on robots
  deferrable initially deferred for each row execute function rights_changed();
create constraint trigger rights_changed after insert or update or delete on robot_grants
  deferrable initially deferred for each row execute function rights_changed();
create constraint trigger rights_changed after insert or update or delete on repository_names
  deferrable initially deferred for each row execute function rights_changed();
-- That they were used is not a change.
create constraint trigger rights_changed after insert or update of robot_id, secret_hash, expires_at or delete on robot_secrets
  deferrable initially deferred for each row execute function rights_changed();
create constraint trigger rights_changed after insert or update of user_id, token_hash, expires_at or delete on personal_tokens
  deferrable initially deferred for each row execute function rights_changed();
create constraint trigger rights_changed after insert or update of name, namespace, visibility or delete on repositories
  deferrable initially deferred for each row execute function rights_changed();
