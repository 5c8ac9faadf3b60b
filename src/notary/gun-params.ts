import type { Request } from "../http/request.ts";
import { OciError } from "../oci/error.ts";
import { repositoryOfGun } from "../oci/gun.ts";
import type { RepositoryName } from "../oci/repository-name.ts";
import type { NotaryDeps } from "./deps.ts";
import { VerificationError } from "./tuf/error.ts";
import { type Gun, parseGun } from "./tuf/names.ts";

export interface GunParams {
  readonly gun: Gun;
  readonly repository: RepositoryName;
}

/**
 * The GUN of the path; the gate let nothing through but names of ours.
 * @throws OciError NAME_INVALID for one that is too long
 */
export function gunParams({ authority }: NotaryDeps, request: Request): GunParams {
  const text = request.param("gun");
  const repository = repositoryOfGun(text, authority);
  if (repository === undefined) throw new Error(`the gate let ${text} through, which is no GUN of ours`);
  try {
    return { gun: parseGun(text), repository };
  } catch (cause) {
    if (!(cause instanceof VerificationError)) throw cause;
    throw new OciError("NAME_INVALID", { message: "a GUN has at most 255 characters", cause });
  }
}

/** Before the gate has judged: undefined for what is no GUN at all. */
export function tryGun(request: Request): Gun | undefined {
  try {
    return parseGun(request.param("gun"));
  } catch (error) {
    if (error instanceof VerificationError) return undefined;
    throw error;
  }
}
