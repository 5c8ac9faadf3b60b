interface Different {
  readonly answer: string;
  readonly why: string;
}

const ONE_ORIGIN = "the path is the registry's here: one origin serves both";
const NO_REDIRECT = "a redirect ends every client; a name is taken as it is written";
const NOT_FOUND = "404 METADATA_NOT_FOUND {}";
const NOT_OURS = '404 {"message":"no such endpoint; the registry is at /v2/"}';
const SNAPSHOT =
  "a snapshot describes what is stored, in every hash and length: no reader is led to a file that is not there";

/** Where the answer is not that of a real server: stricter, or the registry's, and why. */
export const DIFFERENT: Readonly<Record<string, Different>> = {
  "route GET /v2": { answer: "200 {}", why: ONE_ORIGIN },
  "route POST /v2/": { answer: "405 UNSUPPORTED", why: ONE_ORIGIN },
  "route HEAD /v2/": { answer: "200", why: ONE_ORIGIN },
  "route GET /": { answer: NOT_OURS, why: ONE_ORIGIN },
  "route GET /foo": { answer: NOT_OURS, why: ONE_ORIGIN },
  "route GET /v2//a/_trust/tuf/root.json": { answer: NOT_FOUND, why: NO_REDIRECT },
  "route GET /v2/a/../b/_trust/tuf/root.json": { answer: NOT_FOUND, why: NO_REDIRECT },
  "key ts again same? (no root)": {
    answer: '200 {"keytype":"ed25519","keyval":{"public":"<PUB>","private":null}} same=true',
    why: "the pending key is kept: a root that names it may come days later (notary-signer does so too)",
  },
  "POST multipart/mixed": { answer: "400 MALFORMED_UPLOAD", why: "clients send form-data and nothing else" },
  "get root.<sha256 of the TARGETS file> (upstream looks the hash up without checking the role; do not imitate)": {
    answer: NOT_FOUND,
    why: "a hash is looked up within its GUN and role",
  },
  "dup part targets v8+v9": {
    answer: '400 MALFORMED_UPLOAD "two files for targets"',
    why: "two readers could take one each (hardening T02)",
  },
  "targets version after dup part": { answer: "7", why: "nothing was stored of two files for one role" },
  "timestamp version after client ts part": { answer: "6", why: "one publish fewer than there, see above" },
  "unknown field: snapshot hash matches uploaded bytes": {
    answer: "true",
    why: "upstream hashes what it writes anew and breaks such a repository",
  },
  "local snap: snapshot bad length only": {
    answer: "400 INVALID_UPDATE ErrBadSnapshot: length for targets did not match: expected 331",
    why: SNAPSHOT,
  },
  "local snap: snapshot alone v3 bogus targets hash": {
    answer: "400 INVALID_UPDATE ErrBadSnapshot: sha256 checksum for targets did not match: expected <hex>",
    why: SNAPSHOT,
  },
  "timestamp key of another gun": {
    answer: "400 INVALID_UPDATE ErrBadRoot: no  timestamp keys exist on the server",
    why: "a key signs for one GUN (hardening T22)",
  },
  "ts & snapshot same key": {
    answer:
      "400 INVALID_UPDATE ErrBadHierarchy: no snapshot was included in update and server does not hold current snapshot key for repository",
    why: "a key signs for one role",
  },
  "trailing data after JSON": {
    answer: "400 MALFORMED_JSON",
    why: "bytes after the document are no JSON wherever they stand (hardening N04)",
  },
};
