-- 0020_s3_objects.sql (owner: storage/s3-objects.ts): every object that this installation has written into its bucket,
-- or is writing. The row comes first and goes last, so nothing in the bucket has to be found by listing it.
create table s3_objects (
  key         text        collate "C" primary key,  -- 32 hex digits; the object's name ends with them
  -- writing: not whole; piece: whole, belongs to an upload; blob: (a part of) the blob `digest`; doomed: may be gone
  state       text        not null default 'writing' check (state in ('writing', 'piece', 'blob', 'doomed')),
  upload_id   text,                                 -- of the multipart upload it is written by
  size        bigint      check (size >= 0),        -- bytes, once it is whole
  digest      text        collate "C",
  position    integer,                              -- among the objects of the blob, from 0
  touched_at  timestamptz not null default now(),
  check (state = 'writing' or state = 'doomed' or size is not null),
  check (state <> 'blob' or (digest is not null and position is not null))
);
-- One blob is one set of objects: of two that are stored at once the second finds the first.
create unique index s3_objects_blob on s3_objects (digest, position) where state = 'blob';
create index s3_objects_touched on s3_objects (touched_at) where state <> 'blob';

-- (owner: storage/s3-objects.ts) what the bucket acknowledged of an object that is being written.
create table s3_parts (
  key       text     collate "C" not null references s3_objects (key) on delete cascade,
  number    integer  not null check (number between 1 and 10000),
  etag      text     not null,
  checksum  text,                                   -- base64 of its CRC-32, where the server keeps them
  primary key (key, number)
);
