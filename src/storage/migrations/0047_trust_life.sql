-- 0047_trust_life.sql (owner: notary/changefeed-store.ts): a change of trust data belongs to the repository that had the
-- name then. The next one of that name has the same GUN and nothing else of it, so a change carries the name's epoch
-- (0004_names.sql), which every end of a repository's life raises.
select pg_advisory_xact_lock(1414678100);  -- as whoever gives numbers: before the tables
alter table trust_news    add column life integer not null default 0;
alter table trust_changes add column life integer not null default 0;
-- From now on the trigger below says, for processes too that know nothing of lives yet.
alter table trust_news    alter column life set default null;
alter table trust_changes alter column life set default null;

create function life_of_gun(gun text) returns integer language sql stable as $$
  select coalesce((select epoch from repository_names where name = substr(gun, strpos(gun, '/') + 1)), 0)
$$;

-- What was before the last deletion of a name that had several lives may be of any of them: -1 is none that anybody has.
update trust_changes c set life = case
    when exists (select from trust_changes d where d.gun = c.gun and d.id >= c.id and d.category = 'deletion') then -1
    when exists (select from trust_news d where d.gun = c.gun and d.category = 'deletion') then -1
    else life_of_gun(c.gun) end
  where life_of_gun(c.gun) > 0;
update trust_news c set life = case
    when exists (select from trust_news d where d.gun = c.gun and d.place >= c.place and d.category = 'deletion') then -1
    else life_of_gun(c.gun) end
  where life_of_gun(c.gun) > 0;

create function trust_life() returns trigger language plpgsql as $$
begin
  new.life := life_of_gun(new.gun);
  return new;
end $$;
create trigger trust_life before insert on trust_news for each row when (new.life is null) execute function trust_life();
create trigger trust_life before insert on trust_changes for each row when (new.life is null) execute function trust_life();

create index trust_changes_life on trust_changes (gun, life, id);
drop index trust_changes_gun;
