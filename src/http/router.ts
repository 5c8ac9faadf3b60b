import type { Match, Method, Protocol, Route } from "./route.ts";

interface PathPattern {
  readonly regexp: RegExp;
  readonly names: readonly string[];
  readonly byMethod: Map<string, Route>;
}

/** Finds the route of a raw (still percent-encoded) path; the last endpoint keyword of a path decides, not the first. */
export class Router {
  readonly #patterns: readonly PathPattern[];

  constructor(protocol: Protocol) {
    const patterns = new Map<string, PathPattern>();
    for (const route of protocol.routes) {
      const pattern = patterns.get(route.path) ?? compile(route.path);
      patterns.set(route.path, pattern);
      pattern.byMethod.set(route.method, route);
    }
    this.#patterns = [...patterns.values()];
  }

  /** A path of several patterns is of the first that has the method: `/blobs/uploads` could also be a digest. */
  match(method: string, path: string): Match {
    const allowed: Method[] = [];
    for (const { regexp, names, byMethod } of this.#patterns) {
      const found = regexp.exec(path);
      if (found === null) continue;
      const route = byMethod.get(method) ?? (method === "HEAD" ? byMethod.get("GET") : undefined);
      if (route !== undefined) return { kind: "route", route, params: toParams(names, found) };
      allowed.push(...([...byMethod.keys()] as Method[]));
    }
    return allowed.length > 0 ? { kind: "method-not-allowed", allowed: [...new Set(allowed)] } : { kind: "not-found" };
  }
}

/** A closing slash in a route's path is optional in a request. */
function compile(path: string): PathPattern {
  const names: string[] = [];
  const source = path.replace(/[.]/g, "\\.").replace(/<([a-z]+)>/g, (_, name: string) => {
    names.push(name);
    return name === "name" ? "(.+)" : "([^/]+)";
  });
  return { regexp: new RegExp(`^${source.endsWith("/") ? `${source}?` : source}$`), names, byMethod: new Map() };
}

function toParams(names: readonly string[], found: RegExpExecArray): Record<string, string> {
  const params: Record<string, string> = {};
  names.forEach((name, index) => {
    params[name] = name === "name" ? decodeSegments(found[index + 1] ?? "") : decode(found[index + 1] ?? "");
  });
  return params;
}

/** An encoded slash stays encoded: it would otherwise make two components of one, and `%` is in no valid name. */
function decodeSegments(text: string): string {
  if (!text.includes("%")) return text;
  return text
    .split("/")
    .map((segment) => (decode(segment).includes("/") ? segment : decode(segment)))
    .join("/");
}

/** What is not percent-encoded UTF-8, or holds a NUL, stays as it is: no parser accepts it, and no name has a `%`. */
function decode(text: string): string {
  if (!text.includes("%")) return text;
  try {
    const decoded = decodeURIComponent(text);
    return decoded.includes("\0") ? text : decoded;
  } catch (error) {
    if (error instanceof URIError) return text;
    throw error;
  }
}
