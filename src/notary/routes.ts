import { type Match, type Method, type Protocol, type Route, readRoute, route } from "../http/route.ts";
import { getAllChanges, getChanges } from "./changefeed.ts";
import type { NotaryDeps } from "./deps.ts";
import { NotaryError, notaryErrorReply } from "./errors.ts";
import { getByHash, getByVersion, getCurrent, getHealth } from "./files.ts";
import { publish } from "./publish.ts";
import { deleteAll, getKey, rotateKey } from "./server-keys.ts";

const PULL = { kind: "trust", action: "pull" } as const;
const SIGN = { kind: "trust", action: "sign" } as const;
const ADMIN = { kind: "trust", action: "admin" } as const;
const CATALOG = { kind: "catalog" } as const;
const OPEN = { kind: "open" } as const;

/** One file of 90,000 tags; the parts of an update are held whole until it is judged. */
const maxUpdateBytes = 8 * 1024 * 1024;
const update = { maxBodyBytes: maxUpdateBytes };

const TUF = "/v2/<gun>/_trust/tuf/";

/** The Notary v1 API. @see notary `server/server.go` RootHandler */
export const notaryRoutes = (deps: NotaryDeps): Route[] => [
  route("trust-update", "POST", TUF, SIGN, publish(deps), update),
  route("trust-delete", "DELETE", TUF, ADMIN, deleteAll(deps)),
  readRoute("trust-file-hash", "GET", `${TUF}<role>.<hash>.json`, PULL, getByHash(deps)),
  readRoute("trust-file-version", "GET", `${TUF}<version>.<role>.json`, PULL, getByVersion(deps)),
  readRoute("trust-file", "GET", `${TUF}<role>.json`, PULL, getCurrent(deps)),
  route("trust-key-get", "GET", `${TUF}<role>.key`, SIGN, getKey(deps)),
  route("trust-key-rotate", "POST", `${TUF}<role>.key`, ADMIN, rotateKey(deps)),
  route("trust-changes", "GET", "/v2/<gun>/_trust/changefeed", PULL, getChanges(deps)),
  route("trust-changes-all", "GET", "/v2/_trust/changefeed", CATALOG, getAllChanges(deps)),
  route("trust-health", "GET", "/_notary_server/health", OPEN, getHealth()),
];

/** What the parameters of the paths above stand for. */
const PARAMETERS: Readonly<Record<string, string>> = {
  gun: "[^*]+",
  role: "root|targets(?:/[^/\\s]+)*|snapshot|timestamp",
  hash: "[0-9a-fA-F]{64}|[0-9a-fA-F]{96}|[0-9a-fA-F]{128}",
  version: "[0-9]+",
};
/** Upstream has a route for every path with these, which answers that nothing is there. */
const ANSWERED = new Set(["GET", "HEAD", "POST", "PUT", "DELETE"]);

/**
 * Trust data lies beside the repositories on one origin: no component of a repository's name begins with an underscore, and
 * no such name holds the colon of a host and port.
 */
export function notaryProtocol(deps: NotaryDeps): Protocol {
  const routes = notaryRoutes(deps);
  const patterns = routes.map((one) => ({ one, pattern: toPattern(one) }));
  return {
    prefix: /^\/v2\/(?:.+\/)?_trust\/|^\/_notary_server\//,
    routes,
    match: (method, path) => findRoute(patterns, method, path),
    errorReply: notaryErrorReply,
    notFound: () => new NotaryError("METADATA_NOT_FOUND"),
    methodNotAllowed: () => new NotaryError("METHOD_NOT_ALLOWED"),
    badRequest: (message) => new NotaryError("INVALID_PARAMETERS", { detail: message.slice(0, 300) }),
  };
}

interface Pattern {
  readonly one: Route;
  readonly pattern: RegExp;
}

/** The closing slash counts. A file with a hash before one with a version before a plain one: a role may hold dots. */
function toPattern({ path, id }: Route): RegExp {
  const source = path
    .replaceAll(".", "\\.")
    .replace(/<([a-z]+)>/g, (_, name: string) =>
      name === "role" && id.startsWith("trust-key") ? "(?<role>snapshot|timestamp)" : `(?<${name}>${PARAMETERS[name]})`,
    );
  return new RegExp(`^${source}$`);
}

/** As upstream does: on the decoded path, and whatever is unknown is data that is not there. */
function findRoute(patterns: readonly Pattern[], method: string, path: string): Match {
  const decoded = decode(path);
  for (const { one, pattern } of patterns) {
    if (one.method !== method || decoded === undefined) continue;
    const found = pattern.exec(decoded);
    if (found !== null) return { kind: "route", route: one, params: { ...found.groups } };
  }
  return ANSWERED.has(method) ? { kind: "not-found" } : { kind: "method-not-allowed", allowed: [] as Method[] };
}

function decode(path: string): string | undefined {
  try {
    return decodeURIComponent(path);
  } catch (error) {
    if (error instanceof URIError) return undefined;
    throw error;
  }
}
