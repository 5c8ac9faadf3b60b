import type { Json, JsonObject } from "../oci/json.ts";
import {
  type ComposeFile,
  type ContentEntry,
  type NetworkEntry,
  parseComposeFile,
  type VolumeEntry,
} from "./compose-file.ts";
import { ComposeError } from "./error.ts";
import { given } from "./given.ts";
import { interpolate, type Variables } from "./interpolation.ts";
import { type Surroundings, toService } from "./stack-service.ts";
import { readYaml } from "./yaml-text.ts";

/** What a compose file says is taken from where it is deployed from. */
export interface Deployment {
  /** Of the stack. */
  readonly name: string;
  readonly variables: Variables;
  /** A file that the compose file names. Throws an Error that says why not. */
  readonly read: (path: string) => Uint8Array;
}

export interface StackText {
  /** What is signed and sent: `stackSchema` of the bridge. */
  readonly stack: JsonObject;
  /** What is done otherwise than the file may be read, a sentence each. */
  readonly notes: readonly string[];
}

/**
 * A compose file as the bridge takes a stack: everything written out, with the content of its files and the values of its
 * variables, so that what is signed is all there is. What a Swarm cannot do is refused by name, and nothing is left out.
 * @throws ComposeError with every fault and its path
 * @see compose-spec; Docker Engine API 1.41
 */
export function toStack(text: string, deployment: Deployment): StackText {
  const file = parseComposeFile(interpolate(readYaml(text), deployment.variables));
  const surroundings = new Collector(file, deployment);
  if (file.name !== undefined && file.name !== deployment.name)
    surroundings.fault("name", `the file is of ${file.name}, and the stack shall be ${deployment.name}`);
  const services = Object.entries(file.services).map(
    ([name, section]) => [name, toService(name, section, surroundings)] as const,
  );
  if (services.length === 0) surroundings.fault("services", "there are none");
  const stack = {
    name: deployment.name,
    services: Object.fromEntries(services),
    ...surroundings.parts(),
  };
  if (surroundings.faults.length > 0) throw new ComposeError(surroundings.faults);
  return { stack, notes: surroundings.notes };
}

/** What services refer to, and what is found wrong on the way. */
class Collector implements Surroundings {
  readonly faults: string[] = [];
  readonly notes: string[] = [];
  readonly #file: ComposeFile;
  readonly #deployment: Deployment;
  /** A network that no service is on is not made. */
  readonly #networks = new Set<string>();

  constructor(file: ComposeFile, deployment: Deployment) {
    [this.#file, this.#deployment] = [file, deployment];
  }

  fault(path: string, why: string): void {
    this.faults.push(`${path}: ${why}`);
  }

  note(path: string, what: string): void {
    this.notes.push(`${path}: ${what}`);
  }

  variable(name: string): string | undefined {
    return this.#deployment.variables(name);
  }

  refer(kind: "networks" | "volumes" | "secrets" | "configs", name: string, path: string): void {
    const isThere = Object.hasOwn(this.#file[kind], name) || (kind === "networks" && name === "default");
    if (!isThere) this.fault(path, `the file has no ${name} under ${kind}`);
    if (kind === "networks") this.#networks.add(name);
  }

  read(path: string, file: string): Buffer {
    try {
      return Buffer.from(this.#deployment.read(file));
    } catch (error) {
      this.fault(path, `${file} cannot be read (${error instanceof Error ? error.message : String(error)})`);
      return Buffer.alloc(0);
    }
  }

  parts(): JsonObject {
    const { networks, volumes, secrets, configs } = this.#file;
    const used = [...this.#networks].map((name) => [name, networks[name] ?? { external: false }] as const);
    const contents = (kind: "secrets" | "configs", entries: Readonly<Record<string, ContentEntry>>) =>
      nonEmpty(
        kind,
        Object.entries(entries).map(([name, entry]) => [name, this.#content(`${kind}.${name}`, name, entry)]),
      );
    return {
      ...nonEmpty(
        "networks",
        used.map(([name, entry]) => [name, this.#network(`networks.${name}`, name, entry as NetworkEntry)]),
      ),
      ...nonEmpty(
        "volumes",
        Object.entries(volumes).map(([name, entry]) => [name, this.#volume(`volumes.${name}`, name, entry)]),
      ),
      ...contents("secrets", secrets),
      ...contents("configs", configs),
    };
  }

  #network(path: string, key: string, entry: NetworkEntry): JsonObject {
    const { name, external, driver_opts, attachable, internal, labels, ipam } = entry;
    const own = {
      ...given("driverOptions", driver_opts),
      ...given("attachable", attachable),
      ...given("internal", internal),
      ...given("labels", labels),
      ...given(
        "subnets",
        ipam?.config.map(({ subnet }) => subnet),
      ),
    };
    return this.#entry(path, key, { name, external, own });
  }

  #volume(path: string, key: string, { name, external, driver, labels }: VolumeEntry): JsonObject {
    return this.#entry(path, key, { name, external, own: { ...given("driver", driver), ...given("labels", labels) } });
  }

  #content(path: string, key: string, entry: ContentEntry): JsonObject {
    const { name, external, labels } = entry;
    const sources = [entry.file, entry.environment, entry.content].filter((source) => source !== undefined);
    if (external !== false)
      return this.#entry(path, key, { name, external, own: sources.length > 0 ? { file: "" } : {} });
    if (sources.length !== 1) this.fault(path, "its content is in one of file, environment and content");
    const data = this.#bytesOf(path, entry).toString("base64");
    return this.#entry(path, key, { name, external, own: { ...given("labels", labels), data } });
  }

  #bytesOf(path: string, { file, environment, content }: ContentEntry): Buffer {
    if (file !== undefined) return this.read(`${path}.file`, file);
    if (environment === undefined) return Buffer.from(content ?? "");
    const value = this.variable(environment);
    if (value === undefined) this.fault(`${path}.environment`, `${environment} is not set`);
    return Buffer.from(value ?? "");
  }

  #entry(path: string, key: string, { name, external, own }: Entry): JsonObject {
    if (external === false) return { ...given("name", name), ...own };
    if (Object.keys(own).length > 0)
      this.fault(path, "what is external is there already: it has a name and nothing else");
    return { external: typeof external === "string" ? external : (name ?? key) };
  }
}

interface Entry {
  readonly name: string | undefined;
  readonly external: boolean | string;
  readonly own: JsonObject;
}

function nonEmpty(name: string, entries: readonly (readonly [string, Json])[]): JsonObject {
  return entries.length === 0 ? {} : { [name]: Object.fromEntries(entries) };
}
