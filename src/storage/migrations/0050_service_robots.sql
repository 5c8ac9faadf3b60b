-- 0050_service_robots.sql: robots that the bridge makes, so that nodes can pull for one service.

-- (owner: orgs/robots-store.ts) `environment/service`; null: made by people. Each service has at most one in an organization.
alter table robots add column service text collate "C";
alter table robots add constraint robots_service unique (org, service);
create index robots_of_service on robots (service) where service is not null;
