-- 0035_verdict_turns.sql (owner: notary/signatures-store.ts): the history of a tag's signatures also says when a policy began to
-- allow or refuse its image, which no signature need have changed for: a key was removed, or somebody left a team.
alter table trust_signatures drop constraint trust_signatures_kind_check;
alter table trust_signatures add constraint trust_signatures_kind_check
  check (kind in ('signed', 're-signed', 'revoked', 'deleted', 'allowed', 'refused'));
alter table trust_signatures add column policy text collate "C" check ((policy is null) = (kind not in ('allowed', 'refused')));
