import { json } from "../http/reply.ts";
import { type Handler, type Protocol, type Route, readRoute, route } from "../http/route.ts";
import { OciError } from "../oci/error.ts";
import { maxManifestBytes } from "../oci/manifest.ts";
import { deleteBlob, getBlob } from "./blobs.ts";
import type { RegistryDeps } from "./deps.ts";
import { API_VERSION, registryErrorReply } from "./errors.ts";
import { listReferrers, listRepositories, listTags } from "./listings.ts";
import { deleteManifest, getManifest, putManifest } from "./manifests.ts";
import { cancelUpload, finishUpload, getUpload, patchUpload, startUpload } from "./uploads.ts";

const LIST = { kind: "repository", action: "list" } as const;
const PULL = { kind: "repository", action: "pull" } as const;
const PUSH = { kind: "repository", action: "push" } as const;
const PUSH_OR_UNCHANGED = { ...PUSH, orUnchanged: true } as const;
const UNTAG = { kind: "repository", action: "untag" } as const;
const DELETE = { kind: "repository", action: "delete" } as const;
const CATALOG = { kind: "catalog" } as const;
const PING = { kind: "ping" } as const;

const streamed = { maxBodyBytes: Number.POSITIVE_INFINITY };
const manifestBody = { maxBodyBytes: maxManifestBytes };

/** The Distribution API, in the order of distribution-spec v1.1 "Endpoints". */
export const registryRoutes = (deps: RegistryDeps): Route[] => [
  route("end-1", "GET", "/v2/", PING, getBase()),
  readRoute("end-2", "GET", "/v2/<name>/blobs/<digest>", PULL, getBlob(deps)),
  readRoute("end-3", "GET", "/v2/<name>/manifests/<reference>", PULL, getManifest(deps)),
  route("end-4", "POST", "/v2/<name>/blobs/uploads/", PUSH, startUpload(deps), streamed),
  route("end-5", "PATCH", "/v2/<name>/blobs/uploads/<session>", PUSH, patchUpload(deps), streamed),
  route("end-6", "PUT", "/v2/<name>/blobs/uploads/<session>", PUSH, finishUpload(deps), streamed),
  route("end-7", "PUT", "/v2/<name>/manifests/<reference>", PUSH_OR_UNCHANGED, putManifest(deps), manifestBody),
  route("end-8", "GET", "/v2/<name>/tags/list", LIST, listTags(deps)),
  route("end-9", "DELETE", "/v2/<name>/manifests/<reference>", UNTAG, ifDeletion(deps, deleteManifest(deps))),
  route("end-10", "DELETE", "/v2/<name>/blobs/<digest>", DELETE, ifDeletion(deps, deleteBlob(deps))),
  route("end-12", "GET", "/v2/<name>/referrers/<digest>", LIST, listReferrers(deps)),
  route("end-13", "GET", "/v2/<name>/blobs/uploads/<session>", PUSH, getUpload(deps)),
  route("end-14", "DELETE", "/v2/<name>/blobs/uploads/<session>", PUSH, cancelUpload(deps)),
  route("catalog", "GET", "/v2/_catalog", CATALOG, listRepositories(deps)),
];

export const registryProtocol = (deps: RegistryDeps): Protocol => ({
  prefix: "/v2/",
  routes: registryRoutes(deps),
  errorReply: registryErrorReply,
  notFound: () => new OciError("NOT_FOUND"),
  methodNotAllowed: (allowed) => new OciError("UNSUPPORTED", { headers: { Allow: allowed.join(", ") } }),
  badRequest: (message) => new OciError("UNSUPPORTED_REQUEST", { message }),
});

/**
 * `GET /v2/`: whether this registry speaks the API, and whether the credentials are good.
 * @see distribution-spec v1.1 end-1
 */
function getBase(): Handler {
  return async () => json(200, {}, API_VERSION);
}

function ifDeletion({ deletion }: RegistryDeps, handler: Handler): Handler {
  if (deletion) return handler;
  return async () => {
    throw new OciError("UNSUPPORTED", { message: "deletion is switched off on this registry (GOLDSEAL_DELETE=off)" });
  };
}
