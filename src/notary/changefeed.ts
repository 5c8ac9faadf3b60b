import { json } from "../http/reply.ts";
import type { Request } from "../http/request.ts";
import type { Handler } from "../http/route.ts";
import type { Actor } from "../oci/access.ts";
import { repositoryOfGun } from "../oci/gun.ts";
import type { RepositoryName } from "../oci/repository-name.ts";
import type { Change, ChangesQuery } from "./changefeed-store.ts";
import type { NotaryDeps } from "./deps.ts";
import { NotaryError } from "./errors.ts";
import { gunParams } from "./gun-params.ts";

const defaultRecords = 100;
const maxRecords = 10_000;
const maxInteger = 2n ** 63n - 1n;

/**
 * `GET /v2/<gun>/_trust/changefeed?records=&change_id=`: one record for each timestamp and each deletion, oldest first.
 * `records` below 0 asks for those before `change_id`, which is not included; a `change_id` below 0 stands for the end.
 * @throws NotaryError INVALID_PARAMETERS
 * @see notary `server/handlers/changefeed.go`
 */
export function getChanges(deps: NotaryDeps): Handler {
  return async (request) => {
    const { gun } = gunParams(deps, request);
    return feedReply(await deps.changes.list({ gun, ...parseQuery(request) }));
  };
}

/**
 * `GET /v2/_trust/changefeed`: of every GUN whose repository the caller may list, as long as it has been that repository.
 * Who sees everything sees the GUNs of those that are gone too, and when they went.
 */
export function getAllChanges(deps: NotaryDeps): Handler {
  return async (request) => {
    const query = parseQuery(request);
    return feedReply(await listListable(deps, request.actor, { gun: undefined, ...query }));
  };
}

/** Reads on until the page is full, so that a short page means the end of the feed to everybody. */
async function listListable(deps: NotaryDeps, actor: Actor, query: ChangesQuery): Promise<Change[]> {
  const found: Change[] = [];
  let { from } = query;
  for (;;) {
    const page = await deps.changes.list({ ...query, from, limit: Math.max(query.limit, 1000) });
    const shown = await keepListable(deps, actor, page);
    if (query.backwards) found.unshift(...shown);
    else found.push(...shown);
    const last = query.backwards ? page[0] : page.at(-1);
    if (last === undefined || found.length >= query.limit) break;
    from = BigInt(last.id);
  }
  return query.backwards ? found.slice(-query.limit) : found.slice(0, query.limit);
}

async function keepListable(
  { authority, listable }: NotaryDeps,
  actor: Actor,
  page: readonly Change[],
): Promise<Change[]> {
  const named = page.map((change) => ({ change, repository: repositoryOfGun(change.gun, authority) }));
  const names = [...new Set(named.map(({ repository }) => repository))].filter((name) => name !== undefined);
  const seen = await listable(actor, names);
  const isShown = ({ life }: Change, repository: RepositoryName): boolean => {
    const lives = seen.get(repository);
    return lives === "all" || lives === life;
  };
  return named
    .filter(({ change, repository }) => repository !== undefined && isShown(change, repository))
    .map(({ change }) => change);
}

function parseQuery(request: Request): Omit<ChangesQuery, "gun"> {
  const text = request.query("records") ?? "";
  const records = parseInteger(text);
  if (records === undefined) {
    const detail = `invalid records parameter: strconv.ParseInt: parsing ${JSON.stringify(text.slice(0, 100))}: invalid syntax`;
    throw new NotaryError("INVALID_PARAMETERS", { detail });
  }
  const id = parseInteger(request.query("change_id") || "0");
  if (id === undefined) throw new NotaryError("INVALID_PARAMETERS", { detail: {} });
  const size = records < 0n ? -records : records;
  const limit = size === 0n ? defaultRecords : size > maxRecords ? maxRecords : Number(size);
  return { from: id < 0n ? undefined : id, backwards: id < 0n || records < 0n, limit };
}

function parseInteger(text: string): bigint | undefined {
  if (!/^[+-]?\d{1,19}$/.test(text)) return undefined;
  const value = BigInt(text.replace("+", ""));
  return value > maxInteger || value < -maxInteger ? undefined : value;
}

function feedReply(changes: readonly Change[]) {
  const records = changes.map(({ id, createdAt, gun, version, sha256, category }) => ({
    ID: id,
    CreatedAt: createdAt.toISOString(),
    GUN: gun,
    Version: version,
    SHA256: sha256,
    Category: category,
  }));
  return json(200, { count: records.length, records });
}
