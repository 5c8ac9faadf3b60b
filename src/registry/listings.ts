import { nextLink, type PageQuery, parsePage } from "../http/page.ts";
import { bytes, json } from "../http/reply.ts";
import type { Request } from "../http/request.ts";
import type { Handler } from "../http/route.ts";
import { parseDigest } from "../oci/digest.ts";
import { OciError } from "../oci/error.ts";
import { OCI_INDEX } from "../oci/media-types.ts";
import { parseRepositoryName } from "../oci/repository-name.ts";
import type { ReferrerRow } from "../storage/manifest-store.ts";
import type { RegistryDeps } from "./deps.ts";

/** Rows of one page, whatever `n` asks for. */
const maxTags = 10_000;
const maxRepositories = 1_000;
const maxReferrers = 1_000;

/**
 * `GET /v2/<name>/tags/list?n=&last=`: tags in ASCII order, after `last`.
 * @throws OciError NAME_INVALID, NAME_UNKNOWN, PAGINATION_NUMBER_INVALID
 * @see distribution-spec v1.1 end-8a, end-8b
 */
export function listTags({ manifests }: RegistryDeps): Handler {
  return async (request) => {
    const name = parseRepositoryName(request.param("name"));
    const page = pageOf(request, maxTags);

    const tags = await manifests.listTags(name, startOf(page), page.limit + 1);
    if (tags === undefined) throw new OciError("NAME_UNKNOWN");

    const shown = tags.slice(0, page.limit);
    return json(200, { name, tags: shown }, linkIfMore(`/v2/${name}/tags/list`, tags, page));
  };
}

/**
 * `GET /v2/_catalog?n=&last=`: the repositories that the actor may pull, in ASCII order.
 * @throws OciError PAGINATION_NUMBER_INVALID
 * @see distribution API v2 "Listing Repositories"
 */
export function listRepositories({ catalog }: RegistryDeps): Handler {
  return async (request) => {
    const page = pageOf(request, maxRepositories);

    const names = await catalog(request.actor, startOf(page), page.limit + 1);

    return json(200, { repositories: names.slice(0, page.limit) }, linkIfMore("/v2/_catalog", names, page));
  };
}

/**
 * `GET /v2/<name>/referrers/<digest>?artifactType=`: an index of the manifests whose subject is `digest`. Empty, never
 * 404, when there are none. `n` and `last` page as in the other lists.
 * @throws OciError NAME_INVALID, DIGEST_INVALID, PAGINATION_NUMBER_INVALID
 * @see distribution-spec v1.1 end-12a, end-12b
 */
export function listReferrers({ manifests }: RegistryDeps): Handler {
  return async (request) => {
    const repository = parseRepositoryName(request.param("name"));
    const subject = parseDigest(request.param("digest"));
    const page = pageOf(request, maxReferrers);
    const artifactType = withoutNul(request.query("artifactType"));

    const limit = page.limit + 1;
    const rows = await manifests.listReferrers({ repository, subject, artifactType, last: startOf(page), limit });

    const shown = rows.slice(0, page.limit);
    const last = shown.at(-1);
    // The store may stop early for size, so only an empty page after this one proves the end.
    const more =
      last !== undefined &&
      (rows.length > page.limit || (await isMore(manifests, repository, subject, last, artifactType)));
    const filter: Record<string, string> = artifactType === undefined ? {} : { artifactType };
    return bytes(200, OCI_INDEX, toIndex(shown), {
      ...(artifactType === undefined ? {} : { "OCI-Filters-Applied": "artifactType" }),
      ...(more ? nextLink(`/v2/${repository}/referrers/${subject}`, { ...filter, ...toQuery(page, last.digest) }) : {}),
    });
  };
}

async function isMore(
  manifests: RegistryDeps["manifests"],
  repository: ReturnType<typeof parseRepositoryName>,
  subject: ReturnType<typeof parseDigest>,
  last: ReferrerRow,
  artifactType: string | undefined,
): Promise<boolean> {
  const rows = await manifests.listReferrers({ repository, subject, artifactType, last: last.digest, limit: 1 });
  return rows.length > 0;
}

/** Annotations are put in as the text that their row keeps. */
function toIndex(rows: readonly ReferrerRow[]): Buffer {
  const entries = rows.map(({ digest, mediaType, size, artifactType, annotations }) => {
    const descriptor = JSON.stringify({ mediaType, digest, size, artifactType });
    return annotations === undefined ? descriptor : `${descriptor.slice(0, -1)},"annotations":${annotations}}`;
  });
  return Buffer.from(`{"schemaVersion":2,"mediaType":"${OCI_INDEX}","manifests":[${entries.join(",")}]}`);
}

interface Page extends PageQuery {
  /** As it was asked for, to be asked for again; undefined when it was not. */
  readonly n: string | undefined;
}

function pageOf(request: Request, maxLimit: number): Page {
  const [n, second] = request.queryAll("n");
  const page = parsePage(n, withoutNul(request.query("last")), maxLimit);
  if (page === undefined || second !== undefined) throw new OciError("PAGINATION_NUMBER_INVALID");
  return { ...page, n };
}

function startOf({ last }: PageQuery): string {
  return last ?? "";
}

function toQuery({ n }: Page, last: string): Record<string, string> {
  return { ...(n === undefined ? {} : { n }), last };
}

/** The list was asked for one entry more than is shown; `n=0` shows nothing and never has a next page. */
function linkIfMore(path: string, names: readonly string[], page: Page): Record<string, string> {
  const last = names[page.limit - 1];
  if (last === undefined || names.length <= page.limit) return {};
  return nextLink(path, toQuery(page, last));
}

/** PostgreSQL's text has no NUL and no name here does: what sorts after `a\0b` is what sorts after `a`. */
function withoutNul(text: string | undefined): string | undefined {
  return text?.split("\0", 1)[0];
}
