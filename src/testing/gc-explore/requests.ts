import type { Reply } from "../../http/reply.ts";
import type { Request } from "../../http/request.ts";
import type { Digest } from "../../oci/digest.ts";
import { OciError } from "../../oci/error.ts";
import { deleteBlob, getBlob } from "../../registry/blobs.ts";
import type { RegistryDeps } from "../../registry/deps.ts";
import { deleteManifest, getManifest, putManifest } from "../../registry/manifests.ts";
import { startUpload } from "../../registry/uploads.ts";

export interface Asked {
  readonly repository: string;
  readonly digest?: Digest;
  readonly reference?: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly method?: string;
  readonly body?: Buffer;
  readonly contentType?: string;
}

/** 201, 404 and so on, or the code of an error, as a client would see it. */
export type Outcome = number | string;

/** The registry's own handlers, without HTTP around them: thousands of schedules a minute. */
export const REQUESTS = {
  head: (deps: RegistryDeps, asked: Asked) => look(getBlob(deps), { ...asked, method: "HEAD" }),
  get: (deps: RegistryDeps, asked: Asked) => look(getBlob(deps), asked),
  manifest: (deps: RegistryDeps, asked: Asked) => look(getManifest(deps), asked),
  upload: (deps: RegistryDeps, asked: Asked) => outcomeOf(() => startUpload(deps)(toRequest(asked))),
  put: (deps: RegistryDeps, asked: Asked) => outcomeOf(() => putManifest(deps)(toRequest(asked))),
  deleteManifest: (deps: RegistryDeps, asked: Asked) => outcomeOf(() => deleteManifest(deps)(toRequest(asked))),
  deleteBlob: (deps: RegistryDeps, asked: Asked) => outcomeOf(() => deleteBlob(deps)(toRequest(asked))),
};

function look(handler: ReturnType<typeof getBlob>, asked: Asked): Promise<Outcome> {
  return outcomeOf(async () => (await handler(toRequest(asked)))());
}

async function outcomeOf(act: () => Promise<Reply>): Promise<Outcome> {
  try {
    return (await act()).status;
  } catch (error) {
    if (error instanceof OciError) return error.code;
    throw error;
  }
}

function toRequest({ repository, digest, reference, query = {}, method = "", body, contentType }: Asked): Request {
  const params: Record<string, string | undefined> = { name: repository, digest, reference };
  const request: Partial<Request> = {
    method,
    actor: { kind: "user", id: 1, name: "explorer" },
    admission: { repositoryId: undefined, mayCreate: true },
    notes: {},
    hasBody: body !== undefined,
    param: (name: string) => params[name] ?? "",
    query: (name: string) => query[name],
    queryAll: () => [],
    header: (name: string) => (name === "Content-Type" ? contentType : undefined),
    body: async () => body ?? Buffer.alloc(0),
    bodyStream: () => pieces(body),
  };
  return request as Request;
}

async function* pieces(body: Buffer | undefined): AsyncGenerator<Uint8Array> {
  if (body !== undefined) yield body;
}
