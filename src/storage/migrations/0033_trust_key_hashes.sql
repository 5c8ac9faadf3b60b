-- 0033_trust_key_hashes.sql (owner: notary/server-keys-store.ts): whether a key is a server's is asked by the hash of the key,
-- the SHA-256 of its DER SubjectPublicKeyInfo (RFC 8410 for Ed25519).
create index trust_keys_ecdsa on trust_keys (sha256(public_key)) where algorithm = 'ecdsa';
create index trust_keys_ed25519 on trust_keys (sha256('\x302a300506032b6570032100'::bytea || public_key))
  where algorithm = 'ed25519';
