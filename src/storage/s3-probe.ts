import { randomBytes } from "node:crypto";
import { OciError } from "../oci/error.ts";
import { S3Bucket } from "./s3-bucket.ts";
import type { S3Settings } from "./s3-client.ts";

const partBytes = 5 * 1024 * 1024;

/** What a server can do that is used, and what it lacks that is needed; no faults: it can be used. */
export interface S3Findings {
  readonly hasChecksums: boolean;
  /** One sentence each: what does not work, and what to do. */
  readonly faults: readonly string[];
}

interface Step {
  readonly name: string;
  readonly mend: string;
  run(bucket: S3Bucket, key: string): Promise<void>;
}

/** In the order in which they need each other. */
const STEPS: readonly Step[] = [
  {
    name: "read back an object",
    mend: "give the keys s3:GetObject on the bucket",
    run: async (bucket, key) => same(await read(bucket, key, 0, 4), "probe"),
  },
  {
    name: "read a part of an object (Range)",
    mend: "use an S3 server that keeps Range",
    run: async (bucket, key) => same(await read(bucket, key, 1, 3), "rob"),
  },
  {
    name: "write an object in parts (multipart upload)",
    mend: "give the keys s3:PutObject, and use an S3 server with multipart uploads of parts from 5 MiB",
    run: writeInParts,
  },
  {
    name: "give up a multipart upload",
    mend: "give the keys s3:AbortMultipartUpload and s3:ListBucketMultipartUploads",
    run: async (bucket, key) => {
      await bucket.begin(key);
      if ((await bucket.abortAll(key)) !== 1) throw new Error("the upload is not listed under its key");
      if ((await bucket.abortAll(key)) !== 0) throw new Error("the upload is still listed");
    },
  },
  {
    name: "read an object by a presigned URL",
    mend: "use an S3 server with presigned URLs (Signature Version 4)",
    run: async (bucket, key) => {
      const response = await fetch(await bucket.presign(key, { seconds: 60, now: new Date() }));
      const type = response.headers.get("content-type");
      const text = await response.text();
      if (response.status !== 200) throw new Error(`answered ${response.status} ${text.slice(0, 200)}`);
      if (type !== "application/octet-stream") throw new Error(`response-content-type was not kept, but ${type}`);
      same(text, "probe");
    },
  },
  {
    name: "delete an object",
    mend: "give the keys s3:DeleteObject",
    run: async (bucket, key) => {
      await bucket.remove(key);
      if ((await bucket.findSize(key)) !== undefined) throw new Error("it is still there");
    },
  },
];

/** Tries everything that keeping blobs needs, under a name of its own, and leaves nothing behind. */
export async function probeS3(settings: S3Settings): Promise<S3Findings> {
  const key = `probe-${randomBytes(8).toString("hex")}`;
  const [first, ...rest] = [true, false].map((hasChecksums) => new S3Bucket(settings, { hasChecksums }));
  const buckets = { checked: first as S3Bucket, plain: rest[0] as S3Bucket };
  try {
    const refused = await attempt(() => buckets.plain.put(key, Buffer.from("probe")));
    if (refused !== undefined) return { hasChecksums: false, faults: [whyNoObject(settings, refused)] };
    const hasChecksums = await buckets.checked.refusesWrongChecksum(key);
    const bucket = hasChecksums ? buckets.checked : buckets.plain;
    const faults: string[] = [];
    for (const { name, mend, run } of STEPS) {
      const fault = await attempt(() => run(bucket, key));
      if (fault !== undefined) faults.push(`cannot ${name}: ${fault}; ${mend}`);
    }
    return { hasChecksums, faults };
  } finally {
    for (const bucket of [buckets.checked, buckets.plain]) bucket.close();
  }
}

async function writeInParts(bucket: S3Bucket, key: string): Promise<void> {
  const joint = `${key}-parts`;
  const { uploadId } = await bucket.begin(joint);
  const upload = { key: joint, uploadId };
  try {
    const parts = [
      await bucket.putPart(upload, { number: 1, bytes: Buffer.alloc(partBytes, "a") }),
      await bucket.putPart(upload, { number: 2, bytes: Buffer.from("b") }),
    ];
    await bucket.complete(upload, parts, partBytes + 1);
    same(await read(bucket, joint, partBytes - 1, partBytes), "ab");
  } finally {
    await attempt(() => bucket.abort(upload));
    await bucket.remove(joint);
  }
}

async function read(bucket: S3Bucket, key: string, first: number, last: number): Promise<string> {
  const pieces: Uint8Array[] = [];
  for await (const piece of await bucket.get(key, first, last)) pieces.push(piece);
  return Buffer.concat(pieces).toString();
}

function same(got: string, expected: string): void {
  if (got !== expected) throw new Error(`got ${JSON.stringify(got.slice(0, 40))} for ${JSON.stringify(expected)}`);
}

/** What went wrong, in the server's own words where it had some. */
async function attempt(work: () => Promise<unknown>): Promise<string | undefined> {
  try {
    await work();
    return undefined;
  } catch (error) {
    const cause = error instanceof OciError && error.cause instanceof Error ? error.cause : error;
    return cause instanceof Error ? cause.message : String(cause);
  }
}

function whyNoObject({ bucket, endpoint = "AWS" }: S3Settings, fault: string): string {
  const mend = /NoSuchBucket/.test(fault)
    ? `make the bucket ${bucket}, or mend its name`
    : /CredentialsProvider|credential/i.test(fault)
      ? "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run where an AWS role is given"
      : /InvalidAccessKeyId|SignatureDoesNotMatch|UserNotFound/.test(fault)
        ? "mend AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        : /RequestTimeTooSkewed/.test(fault)
          ? "set the clock of this machine, or of the S3 server"
          : /AccessDenied| 403 /.test(fault)
            ? "give the keys s3:PutObject on the bucket"
            : "see that endpoint, bucket and region are right and that the server runs";
  return `cannot write an object into ${bucket} at ${endpoint}: ${fault}; ${mend}`;
}
