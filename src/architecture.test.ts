/** Fails when an import, a library or a global stands where the table of rooms does not let it. */
import { readdirSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";
import { describe, expect, it } from "vitest";

interface SourceFile {
  /** From the project root, with slashes: `src/oci/digest.ts`. */
  readonly path: string;
  readonly text: string;
}

const FOUNDATION = ["oci", "http", "storage", "keys", "trust", "notary/tuf"];

const APP = [...FOUNDATION, "registry", "orgs", "notary", "promotion", "verdicts", "relay", "setup", "config.ts"];

/** Room → the rooms it may import. A room or root file without a row here is itself a violation. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  oci: [],
  http: ["oci"],
  storage: ["oci"],
  "notary/tuf": ["oci"],
  keys: ["oci", "storage"],
  trust: ["oci", "notary/tuf"],
  compose: ["oci"],
  registry: FOUNDATION,
  orgs: FOUNDATION,
  notary: FOUNDATION,
  promotion: FOUNDATION,
  verdicts: FOUNDATION,
  relay: ["oci", "http"],
  setup: ["oci", "keys", "config.ts"],
  "cluster-bridge": ["oci", "http", "notary/tuf", "trust"],
  cli: ["oci", "notary/tuf", "trust", "compose"],
  "config.ts": ["oci", "setup"],
  "app.ts": [...APP, "ground.ts", "image-trust.ts"],
  // Parts of the composition root.
  "ground.ts": [...FOUNDATION, "config.ts", "app.ts"],
  "image-trust.ts": [...APP, "ground.ts"],
  "prepare.ts": [...APP, "app.ts"],
  "bridge.ts": ["oci", "http", "notary/tuf", "trust", "cluster-bridge", "config.ts"],
  "authz-plugin.ts": ["http", "notary/tuf", "cluster-bridge", "config.ts"],
  // The primary process opens no app: it prepares the machine and starts the workers that do.
  // It hands the door's listener and log to the set-up, which knows neither.
  "main.ts": ["app.ts", "prepare.ts", "bridge.ts", "authz-plugin.ts", "cli", "setup", "config.ts", "http"],
  "command-line.ts": ["cli"],
};

/** One library, one door: the only files that may import it. */
const DOORS: Readonly<Record<string, RegExp>> = {
  koa: /^src\/(http\/|app\.ts$)/,
  pg: /^src\/storage\/(database|statement-batch)\.ts$/,
  jose: /^src\/(orgs\/token-[\w-]+|cluster-bridge\/order-signature)\.ts$/,
  ldapts: /^src\/orgs\/ldap\/directory\.ts$/,
  tweetnacl: /^src\/keys\//,
  "node-forge": /^src\/setup\//,
  "@aws-sdk": /^src\/storage\/s3-[\w-]+\.ts$/,
  "@smithy": /^src\/storage\/s3-client\.ts$/,
};

/** The access matrix must hear of every route: this one file may read the tables of them, and nothing more. */
const ROUTE_TABLE = "conformance/matrix/route-table.ts";
const TABLES = [
  ...["src/http/operations.ts", "src/orgs/routes.ts", "src/registry/routes.ts", "src/registry/gc-api.ts"],
  ...["src/registry/fsck-api.ts", "src/registry/scrub-api.ts"],
  ...["src/notary/routes.ts", "src/notary/server-keys-api.ts", "src/notary/org-signers-api.ts"],
  ...["src/notary/tag-trust-api.ts", "src/notary/signatures-api.ts"],
  ...["src/verdicts/policies-api.ts", "src/verdicts/simulate-api.ts", "src/verdicts/verdicts-api.ts"],
  "src/promotion/routes.ts",
  ...["src/notary/auto-sign-api.ts", "src/notary/root-api.ts"],
  ...["src/verdicts/bridge-policy-api.ts", "src/relay/routes.ts"],
];

/** Rooms that compute and never reach out. */
const WITHOUT_IO = /^src\/(oci|trust|compose|notary\/tuf)\//;
const IO = /^node:(fs|net|tls|http|https|http2|dns|dgram|child_process|cluster|worker_threads)(\/|$)/;

/** What else has one place. Each is looked for in the text without comments. */
const ONE_PLACE: readonly { readonly what: RegExp; readonly name: string; readonly where: RegExp }[] = [
  { what: /\bprocess\.env\b/, name: "process.env", where: /^src\/(main|command-line)\.ts$/ },
  { what: /\bJSON\.parse\b/, name: "JSON.parse", where: /^src\/oci\/json\.ts$/ },
  { what: /["'`](x-forwarded|forwarded["'`])/i, name: "X-Forwarded-…", where: /^src\/http\/client-address\.ts$/ },
  { what: /^\s*export default\b/m, name: "export default", where: /^$/ },
];

function findViolations(files: readonly SourceFile[]): string[] {
  return files.flatMap((file) => [...importViolations(file), ...placeViolations(file)]);
}

function importViolations({ path, text }: SourceFile): string[] {
  return importsOf(text)
    .map((specifier) => (specifier.startsWith(".") ? pathProblem(path, specifier) : libraryProblem(path, specifier)))
    .filter((problem) => problem !== undefined)
    .map((problem) => `${path}: ${problem}`);
}

/** `import … from "x"`, `export … from "x"`, `import "x"` and `import("x")`; types count: to name a thing is to know it. */
function importsOf(text: string): string[] {
  const found = withoutComments(text).matchAll(
    /^(?:import|export|\}).*?\bfrom\s*"([^"]+)"|\bimport\s*\(?\s*"([^"]+)"/gm,
  );
  return [...found].map(([, from, direct]) => from ?? direct ?? "");
}

function pathProblem(path: string, specifier: string): string | undefined {
  const target = posix.join(posix.dirname(path), specifier);
  if (!target.endsWith(".ts")) return `import of ${specifier} does not end in .ts`;
  if (!path.startsWith("src/")) {
    const isLet = path === ROUTE_TABLE && TABLES.includes(target);
    return target.startsWith("src/") && !isLet ? `a black-box suite imports ${target}` : undefined;
  }
  // A test opens the system through its composition root and may look from any side.
  if (isTest(path)) return undefined;
  const [from, to] = [roomOf(path), roomOf(target)];
  const allowed = MAY_IMPORT[from];
  if (!allowed) return `${from} has no row in the import table`;
  return from === to || allowed.includes(to) ? undefined : `${from} may not import ${to}`;
}

function libraryProblem(path: string, specifier: string): string | undefined {
  if (!path.startsWith("src/") || isTest(path)) return undefined;
  if (WITHOUT_IO.test(path) && IO.test(specifier)) return `${specifier} in a room without I/O`;
  const name = specifier.split("/")[0] ?? "";
  const door = DOORS[name];
  return door && !door.test(path) ? `${name} outside its door` : undefined;
}

function placeViolations({ path, text }: SourceFile): string[] {
  if (!path.startsWith("src/") || isTest(path)) return [];
  const code = withoutComments(text);
  return ONE_PLACE.filter(({ what, where }) => what.test(code) && !where.test(path)).map(
    ({ name }) => `${path}: ${name} outside its one place`,
  );
}

/** `src/notary/tuf/key.ts` → `notary/tuf`; `src/oci/digest.ts` → `oci`; `src/app.ts` → `app.ts`. */
function roomOf(path: string): string {
  const inner = path.slice("src/".length);
  return inner.startsWith("notary/tuf/") ? "notary/tuf" : (inner.split("/")[0] ?? inner);
}

/** Tests, contracts and what only they use. */
const isTest = (path: string): boolean => /\.(test|contract)\.ts$|\/testing\/|\/test-[\w-]+\.ts$/.test(path);

const withoutComments = (text: string): string => text.replace(/\/\*.*?\*\//gs, "").replace(/(^|\s)\/\/.*$/gm, "$1");

function readSources(folder: string): SourceFile[] {
  const root = join(import.meta.dirname, "..");
  return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => ({ path: `${folder}/${name}`, text: readFileSync(join(root, folder, name), "utf8") }));
}

describe("the import table", () => {
  it("holds for every file of src and conformance", () => {
    // This file's planted violations are text, but they look like the real thing.
    const files = [...readSources("src"), ...readSources("conformance")].filter(
      ({ path }) => path !== "src/architecture.test.ts",
    );

    expect(files.length).toBeGreaterThan(20);
    expect(findViolations(files)).toEqual([]);
  });

  it.each([
    ["oci that imports a room", "src/oci/digest.ts", 'import { Reply } from "../http/reply.ts";'],
    ["a feature room that imports another", "src/registry/blobs.ts", 'import { x } from "../orgs/permissions.ts";'],
    ["a type of another feature room", "src/orgs/routes.ts", 'import type { X } from "../registry/tags.ts";'],
    ["an import over several lines", "src/orgs/routes.ts", 'import {\n  x,\n  y,\n} from "../registry/tags.ts";'],
    ["an export from another room", "src/http/reply.ts", 'export { x } from "../storage/database.ts";'],
    ["an import() from another room", "src/http/reply.ts", 'const x = await import("../storage/database.ts");'],
    ["an import for its effect", "src/storage/migrate.ts", 'import "../http/log.ts";'],
    ["TUF that imports the room around it", "src/notary/tuf/key.ts", 'import { x } from "../update.ts";'],
    ["a room that imports the composition root", "src/registry/blobs.ts", 'import { openApp } from "../app.ts";'],
    [
      "a bridge that reaches the database",
      "src/cluster-bridge/reconcile.ts",
      'import { x } from "../storage/database.ts";',
    ],
    ["an app that imports the bridge", "src/app.ts", 'import { x } from "./cluster-bridge/reconcile.ts";'],
    ["a process that reaches into a room", "src/main.ts", 'import { x } from "./storage/database.ts";'],
    ["a command line that reaches a store", "src/cli/user.ts", 'import { x } from "../orgs/users-store.ts";'],
    ["a room that nobody put into the table", "src/utils/strings.ts", 'import { x } from "./numbers.ts";'],
    ["an import without .ts", "src/http/reply.ts", 'import { x } from "../oci/digest";'],
    ["koa outside the door", "src/registry/routes.ts", 'import Koa from "koa";'],
    ["pg outside the database", "src/storage/tag-store.ts", 'import { Pool } from "pg";'],
    ["jose outside the token files", "src/orgs/permissions.ts", 'import { jwtVerify } from "jose";'],
    ["tweetnacl outside keys", "src/orgs/token-service.ts", 'import nacl from "tweetnacl";'],
    ["node-forge outside the set-up", "src/http/listener.ts", 'import forge from "node-forge";'],
    ["S3 outside its driver", "src/registry/blobs.ts", 'import { S3Client } from "@aws-sdk/client-s3";'],
    ["files in the vocabulary", "src/oci/manifest.ts", 'import { readFile } from "node:fs/promises";'],
    ["the environment outside main", "src/app.ts", "const port = process.env.PORT;"],
    ["JSON.parse outside its one place", "src/registry/manifests.ts", "const m = JSON.parse(text);"],
    ["a proxy's header outside its one place", "src/orgs/gate.ts", 'const a = request.header("X-Forwarded-For");'],
    ["a default export", "src/http/reply.ts", "export default class Reply {}"],
    ["a suite that imports the product", "conformance/oci/main.ts", 'import { openApp } from "../../src/app.ts";'],
    ["a suite that imports a table", "conformance/matrix/main.ts", 'import { x } from "../../src/orgs/routes.ts";'],
    ["a table that brings more", "conformance/matrix/route-table.ts", 'import { x } from "../../src/orgs/gate.ts";'],
  ])("catches %s", (_what, path, text) => {
    expect(findViolations([{ path, text }])).toEqual([expect.stringContaining(`${path}: `)]);
  });

  it.each([
    ["what the table allows", "src/registry/blobs.ts", 'import { x } from "../storage/blob-store.ts";'],
    ["the room's own files", "src/orgs/routes.ts", 'import { x } from "./permissions.ts";'],
    ["a library at its door", "src/storage/database.ts", 'import { Pool } from "pg";'],
    ["a comment that names what is forbidden", "src/oci/scope.ts", "// never JSON.parse or process.env here"],
    ["a test that opens the system", "src/registry/tags.test.ts", 'import { openApp } from "../app.ts";'],
  ])("lets pass %s", (_what, path, text) => {
    expect(findViolations([{ path, text }])).toEqual([]);
  });
});
