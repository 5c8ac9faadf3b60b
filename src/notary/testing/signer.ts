import type { Answer } from "../../testing/http-client.ts";
import { PUBLIC_URL, type TestApp } from "../../testing/open-test-app.ts";
import { type Key, makeKey } from "../tuf/key.ts";
import { parseGun } from "../tuf/names.ts";
import { type Change, put } from "../tuf/testing/loose.ts";
import { Repository } from "../tuf/testing/repository.ts";
import type { TestKey } from "../tuf/testing/test-key.ts";
import type { UploadedPart } from "../tuf/upload.ts";

export const AUTHORITY = new URL(PUBLIC_URL).host;
const BOUNDARY = "boundary-of-a-test";

/** A client that signs for one GUN of the test app, as docker does: the server makes snapshot and timestamp. */
export class Signer {
  readonly app: TestApp;
  readonly as: string;
  readonly gun: string;
  readonly repository: Repository;

  constructor(app: TestApp, as: string, repository: string) {
    this.app = app;
    this.as = as;
    this.gun = `${AUTHORITY}/${repository}`;
    this.repository = new Repository({ gun: parseGun(this.gun) });
    this.repository.now = new Date();
  }

  /** Asks for the server's keys, which the first root has to name. */
  async begin(): Promise<this> {
    for (const role of ["snapshot", "timestamp"] as const) await this.useKey(role, "GET");
    return this;
  }

  async useKey(role: "snapshot" | "timestamp", method: "GET" | "POST"): Promise<string> {
    const answer = await this.ask(method, `${role}.key`);
    if (answer.status !== 200) throw new Error(`${method} ${role}.key: ${answer.status} ${answer.body}`);
    const { keytype, keyval } = JSON.parse(answer.body.toString());
    const key: Key = makeKey(keytype, Buffer.from(keyval.public, "base64"));
    // The private half is the server's: whoever tried to sign with this would fail.
    this.repository.keys[role] = { key } as TestKey;
    return key.id;
  }

  ask(method: string, file: string, as: string | undefined = this.as): Promise<Answer> {
    return this.app.ask(method, `/v2/${this.gun}/_trust/tuf/${file}`, as === undefined ? {} : { as });
  }

  part(role: string, change?: Change): UploadedPart {
    return this.repository.part(role, change);
  }

  /** What is taken becomes the state that the next versions build on. */
  async publish(parts: readonly UploadedPart[], as = this.as): Promise<Answer> {
    const answer = await this.post(multipart(parts), as);
    if (answer.status === 200) {
      for (const { filename, bytes } of parts) this.repository.stored.set(filename as never, bytes);
    }
    return answer;
  }

  post(body: Buffer, as = this.as, contentType = `multipart/form-data; boundary=${BOUNDARY}`): Promise<Answer> {
    const headers = { "content-type": contentType };
    return this.app.ask("POST", `/v2/${this.gun}/_trust/tuf/`, { as, headers, body });
  }

  /** Root v1 and targets v2, as docker begins. */
  first(): UploadedPart[] {
    return [this.part("root"), this.part("targets")];
  }

  /** Targets one version on, with one more tag. */
  tag(name: string): UploadedPart {
    const file = { hashes: { sha256: Buffer.alloc(32, name).toString("base64") }, length: 527 };
    return this.part("targets", put(["targets", name], file));
  }
}

/** A repository whose first publish was taken. */
export async function openSigner(app: TestApp, repository: string, as = "alice"): Promise<Signer> {
  const signer = await new Signer(app, as, repository).begin();
  const { status, body } = await signer.publish(signer.first());
  if (status !== 200) throw new Error(`the first publish was refused: ${body}`);
  return signer;
}

export function multipart(parts: readonly UploadedPart[]): Buffer {
  const pieces = parts.flatMap(({ filename, bytes }) => {
    const name = filename === undefined ? "" : `; filename="${filename}"`;
    const head = `--${BOUNDARY}\r\nContent-Disposition: form-data; name="files"${name}\r\nContent-Type: application/octet-stream\r\n\r\n`;
    return [Buffer.from(head), bytes, Buffer.from("\r\n")];
  });
  return Buffer.concat([...pieces, Buffer.from(`--${BOUNDARY}--\r\n`)]);
}
