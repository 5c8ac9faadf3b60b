/** Does to stored bytes what disks, buckets and people do, behind the product's back. */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { sha256 } from "../harness/registry-client.ts";
import { S3_KEYS, type S3Server } from "../harness/s3-servers.ts";

export interface Damage {
  /** Flips one bit of the blob. */
  flip(digest: string): Promise<void>;
  remove(digest: string): Promise<void>;
  close(): void;
}

export function damageFiles(root: string): Damage {
  const fileOf = (digest: string): string => {
    const [algorithm = "", hex = ""] = digest.split(":");
    return join(root, "blobs", algorithm, hex.slice(0, 2), hex);
  };
  return {
    flip: async (digest) => writeFileSync(fileOf(digest), flipped(readFileSync(fileOf(digest)))),
    remove: async (digest) => rmSync(fileOf(digest)),
    close: () => undefined,
  };
}

/** Which object holds which blob only the product knows: it is found by what is in it. */
export function damageObjects({ endpoint, bucket }: S3Server): Damage {
  const credentials = { accessKeyId: S3_KEYS.id, secretAccessKey: S3_KEYS.secret };
  const client = new S3Client({ endpoint, forcePathStyle: true, region: "us-east-1", credentials });
  const find = async (digest: string): Promise<{ Key: string; bytes: Buffer }> => {
    const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket: bucket }));
    for (const { Key = "" } of Contents) {
      const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key }));
      const bytes = Buffer.from((await Body?.transformToByteArray()) ?? []);
      if (sha256(bytes) === digest) return { Key, bytes };
    }
    throw new Error(`no object holds ${digest}`);
  };
  return {
    flip: async (digest) => {
      const { Key, bytes } = await find(digest);
      await client.send(new PutObjectCommand({ Bucket: bucket, Key, Body: flipped(bytes) }));
    },
    remove: async (digest) => {
      const { Key } = await find(digest);
      await client.send(new DeleteObjectCommand({ Bucket: bucket, Key }));
    },
    close: () => client.destroy(),
  };
}

function flipped(bytes: Buffer): Buffer {
  const at = Math.floor(bytes.length / 2);
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
  return bytes;
}
