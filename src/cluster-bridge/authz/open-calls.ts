/** A path as an engine's router sees it: without its version, decoded once. Undefined: none that is taken here. */
export function findPath(uri: string): string | undefined {
  const [raw = ""] = uri.split("?", 1);
  const path = decode(raw)?.replace(/^\/v[0-9.]+(?=\/)/, "");
  // The engine answers a path that can be written shorter with where else to look, and nothing more.
  return path !== undefined && /^(\/[A-Za-z0-9_.:@+-]+)+$/.test(path) && !/\/\.{1,2}(\/|$)/.test(path)
    ? path
    : undefined;
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

const READ = ["GET", "HEAD"];
/** One component. */
const id = "[^/]+";

/**
 * What anybody may ask of a manager's engine without the bridge: what reads, and what ends things on this one machine. All
 * that is not named here is the bridge's. Not here though they read: `/swarm` and its key (whoever has a join token makes a
 * manager without a plug-in), `…/attach/ws` (it writes to a running container).
 * @see Docker Engine API v1.41
 */
const OPEN: readonly (readonly [methods: readonly string[], path: string])[] = [
  [READ, "/(_ping|version|info|events|system/df)"],
  [READ, "/containers/json"],
  [READ, `/containers/${id}/(json|top|logs|changes|stats|archive|export)`],
  [READ, `/exec/${id}/json`],
  [READ, "/images/(json|get|search)"],
  [READ, "/images/.+/(json|history|get)"],
  [READ, "/distribution/.+/json"],
  [READ, `/(networks|volumes|services|tasks|nodes|secrets|configs|plugins)(/${id})?`],
  [READ, `/(services|tasks)/${id}/logs`],
  [READ, "/plugins/.+/json"],
  [["POST"], "/auth"],
  [["POST"], `/containers/${id}/(stop|kill|wait)`],
  [["POST"], "/(containers|images)/prune"],
  [["DELETE"], `/containers/${id}`],
  [["DELETE"], "/images/.+"],
];

const RULES = OPEN.map(([methods, path]) => ({ methods, pattern: new RegExp(`^${path}$`) }));

export function isOpen(method: string, path: string): boolean {
  return RULES.some(({ methods, pattern }) => methods.includes(method) && pattern.test(path));
}
