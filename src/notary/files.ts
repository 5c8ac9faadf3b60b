import { bytes, type Reply } from "../http/reply.ts";
import type { Request } from "../http/request.ts";
import type { Handler, LookAhead } from "../http/route.ts";
import type { NotaryDeps } from "./deps.ts";
import { missing } from "./errors.ts";
import { gunParams, tryGun } from "./gun-params.ts";
import type { StoredFile } from "./metadata-store.ts";
import { freshTimestamp } from "./renewal.ts";
import { type Gun, isRoleName } from "./tuf/names.ts";

/** Seconds that a copy of a current file is good for, and of one that is named by hash or version. */
const currentSeconds = 300;
const immutableSeconds = 30 * 24 * 3600;

/**
 * `GET /v2/<gun>/_trust/tuf/<role>.json`: the highest version. Reading the timestamp, or the snapshot, first makes a new
 * one where the old is over, so both are good whenever they are served.
 * @throws NotaryError METADATA_NOT_FOUND, UNKNOWN where nothing can be signed anew
 * @see notary `server/handlers/default.go` GetHandler
 */
export function getCurrent(deps: NotaryDeps): LookAhead {
  return async (request) => {
    const role = request.param("role");
    const gun = tryGun(request);
    const found = gun === undefined || !isRoleName(role) ? undefined : await deps.files.findCurrent(gun, role);
    return async () => {
      if (found === undefined) throw missing();
      if (role !== "timestamp" && role !== "snapshot") return fileReply(request, found, currentSeconds);
      const { gun: known } = gunParams(deps, request);
      return fileReply(request, await freshTimestamp(deps, { gun: known, role, found }), currentSeconds);
    };
  };
}

/** `GET /v2/<gun>/_trust/tuf/<role>.<sha256>.json`: lower-case hex; any version of the role. */
export function getByHash(deps: NotaryDeps): LookAhead {
  return async (request) => {
    const [role, sha256] = [request.param("role"), request.param("hash")];
    const isOne = isRoleName(role) && /^[0-9a-f]{64}$/.test(sha256);
    return immutable(request, isOne, (gun) => deps.files.findByHash(gun, role, sha256));
  };
}

/** `GET /v2/<gun>/_trust/tuf/<version>.<role>.json`: decimal, zeros before it do not matter. */
export function getByVersion(deps: NotaryDeps): LookAhead {
  return async (request) => {
    const role = request.param("role");
    const version = Number(request.param("version"));
    const isOne = isRoleName(role) && Number.isSafeInteger(version);
    return immutable(request, isOne, (gun) => deps.files.findByVersion(gun, role, version));
  };
}

async function immutable(
  request: Request,
  isOne: boolean,
  find: (gun: Gun) => Promise<StoredFile | undefined>,
): Promise<() => Promise<Reply>> {
  const gun = tryGun(request);
  const found = isOne && gun !== undefined ? await find(gun) : undefined;
  return async () => {
    if (found === undefined) throw missing();
    return fileReply(request, found, immutableSeconds);
  };
}

/** A shared cache may keep what anybody may read. */
function fileReply({ admission }: Request, { content, createdAt }: StoredFile, seconds: number): Reply {
  const scope =
    admission.isPublic === true ? `public, max-age=${seconds}, s-maxage=${seconds}` : `private, max-age=${seconds}`;
  const revalidate = seconds === currentSeconds ? ", must-revalidate" : "";
  return bytes(200, "application/json", content, {
    "Cache-Control": `${scope}${revalidate}`,
    "Last-Modified": createdAt.toUTCString(),
    Vary: "Authorization",
  });
}

/** `GET /_notary_server/health`: whether the process answers; `/readyz` looks further. */
export function getHealth(): Handler {
  return async () => bytes(200, "application/json", Buffer.from("{}"));
}
