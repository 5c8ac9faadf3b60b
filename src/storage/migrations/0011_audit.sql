-- 0011_audit.sql (owner: orgs/audit-store.ts): who did or was refused what, where from. Rows are added and never change;
-- what is too old goes by dropping the table of its month, which only the database's owner can do.
create table audit_log (
  at           timestamptz not null,
  id           bigint      generated always as identity,
  actor        text        collate "C" not null,   -- a user or robot; of a refused sign-in the name that was typed
  actor_id     bigint      not null,                -- 0: nobody signed in
  action       text        collate "C" not null,   -- of a repository what explain calls it, else the route
  target       text        collate "C" not null,
  namespace    text        collate "C" not null,   -- whose the target is; empty where it is the whole system's
  outcome      text        not null check (outcome in ('done', 'refused')),
  source       text        not null,                -- address of the connection
  request_id   text        not null,
  decision_id  text        collate "C",             -- of a refusal: what the client was told to ask about
  detail       jsonb       not null,
  primary key (at, id)
) partition by range (at);
create index audit_log_actor on audit_log (actor, at, id);
create index audit_log_target on audit_log (target, at, id);
create index audit_log_namespace on audit_log (namespace, at, id);
create index audit_log_decision on audit_log (decision_id) where decision_id is not null;

create function audit_log_refuse() returns trigger language plpgsql as $$
begin
  raise exception 'audit_log only grows: % is refused', lower(tg_op) using errcode = 'restrict_violation';
end $$;
create trigger audit_log_append_only before update or delete on audit_log
  for each row execute function audit_log_refuse();
create trigger audit_log_no_truncate before truncate on audit_log
  for each statement execute function audit_log_refuse();

-- Makes the table of the month (UTC) that `moment` is in, unless it is there; any number of callers at once.
create function audit_log_ensure_month(moment timestamptz) returns void language plpgsql as $$
declare
  first timestamp := date_trunc('month', moment at time zone 'UTC');
  part  text := 'audit_log_' || to_char(first, 'YYYY_MM');
begin
  if to_regclass(part) is not null then return; end if;
  -- Two at once would wait for each other's lock on audit_log.
  perform pg_advisory_xact_lock(hashtext('audit_log_ensure_month'));
  execute format('create table %I partition of audit_log for values from (%L) to (%L)',
    part, first at time zone 'UTC', (first + interval '1 month') at time zone 'UTC');
  -- Row triggers are inherited, this one is not.
  execute format('create trigger audit_log_no_truncate before truncate on %I
    for each statement execute function audit_log_refuse()', part);
exception when duplicate_table then
  null; -- made by another one while we waited
end $$;
