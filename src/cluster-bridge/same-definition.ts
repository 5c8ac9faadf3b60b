import { isJsonObject, type Json } from "../oci/json.ts";

/**
 * Where the engine holds something else than it was sent; undefined where it holds that. It leaves out what is empty, and adds
 * what it has defaults for: so nothing that was sent may be missing or different, and nothing that makes another container
 * of an image may be there that was not sent.
 */
export function findDifference(sent: Json | undefined, held: Json | undefined, path = ""): string | undefined {
  if (isEmpty(sent) && isEmpty(held)) return undefined;
  if (isJsonObject(sent) && isJsonObject(held)) {
    const names = new Set([...Object.keys(sent), ...Object.keys(held).filter((name) => !isDefaulted(path, name))]);
    for (const name of names) {
      const found = findDifference(sent[name], held[name], path === "" ? name : `${path}.${name}`);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  if (Array.isArray(sent) && Array.isArray(held) && sent.length === held.length) {
    return sent.map((entry, index) => findDifference(entry, held[index], `${path}.${index}`)).find(Boolean);
  }
  return sent === held ? undefined : path;
}

/** What the engine says of its own accord, by where it stands. Everything else that was not sent is a difference. */
const DEFAULTED: readonly RegExp[] = [
  /^TaskTemplate\.(RestartPolicy|ForceUpdate|Runtime)$/,
  /^TaskTemplate\.ContainerSpec\.(Isolation|DNSConfig|StopGracePeriod)$/,
  /^TaskTemplate\.Placement\.Platforms$/,
  /^(UpdateConfig|RollbackConfig)\.(MaxFailureRatio|Delay)$/,
  /^RollbackConfig$/,
  /^EndpointSpec\.Ports\.\d+\.PublishedPort$/,
];

function isDefaulted(path: string, name: string): boolean {
  const whole = path === "" ? name : `${path}.${name}`;
  return DEFAULTED.some((pattern) => pattern.test(whole));
}

function isEmpty(value: Json | undefined): boolean {
  if (value === undefined || value === null || value === "" || value === 0 || value === false) return true;
  if (Array.isArray(value)) return value.length === 0;
  return isJsonObject(value) && Object.values(value).every(isEmpty);
}
