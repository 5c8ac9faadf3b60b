-- 0033_machine_keys.sql (owners: notary/server-keys-store.ts, notary/org-signers-store.ts): the keys that the server holds
-- are found by what they are, whoever asks: the SHA-256 of the DER SubjectPublicKeyInfo.
create index org_signers_spki on org_signers (sha256(public_key));
create index trust_keys_ecdsa on trust_keys (sha256(public_key)) where algorithm = 'ecdsa';
create index trust_keys_ed25519 on trust_keys (sha256('\x302a300506032b6570032100'::bytea || public_key))
  where algorithm = 'ed25519';
