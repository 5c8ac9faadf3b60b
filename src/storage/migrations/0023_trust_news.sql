-- 0023_trust_news.sql (owner: notary/changefeed-store.ts): changes of trust data that have no number in the feed yet. They
-- get it when the feed is read, in one transaction after those that made them: so numbers are given in the order in which
-- they can be seen, and no publish waits for the commit of another.
create table trust_news (
  place       bigint      generated always as identity primary key,
  created_at  timestamptz not null,
  gun         text        collate "C" not null,
  version     bigint      not null,
  sha256      text        not null,
  category    text        not null check (category in ('update', 'deletion'))
);
