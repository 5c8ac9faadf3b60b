/** The variables by which an installation is told what it is: their names, and their text out of the environment and `goldseal.yaml`. */
import { parseDocument } from "yaml";
import { nearest } from "./nearest.ts";

export type Variables = Readonly<Record<string, string | undefined>>;

const VARIABLES: ReadonlySet<string> = new Set([
  "GOLDSEAL_LISTEN",
  "GOLDSEAL_PUBLIC_URL",
  "GOLDSEAL_DATA",
  "GOLDSEAL_TLS",
  "GOLDSEAL_TRUSTED_PROXIES",
  "GOLDSEAL_ADMIN_PASSWORD",
  "GOLDSEAL_DATABASE_URL",
  "GOLDSEAL_BLOBS",
  "GOLDSEAL_BLOB_REDIRECT",
  "GOLDSEAL_MASTER_KEY_FILE",
  "GOLDSEAL_AUTH_CHALLENGE",
  "GOLDSEAL_WORKERS",
  "GOLDSEAL_BRIDGE_CONFIG",
  "GOLDSEAL_AUTHZ_KEYS",
  "GOLDSEAL_AUTHZ_SOCKET",
  "GOLDSEAL_BRIDGE_URL",
  "GOLDSEAL_BRIDGE_CA_FILE",
  "GOLDSEAL_BRIDGE_SECRET_FILE",
  "GOLDSEAL_BRIDGE_ACCOUNT",
  "GOLDSEAL_TOKEN_TTL_SECONDS",
  "GOLDSEAL_UPLOAD_TTL_HOURS",
  "GOLDSEAL_GC_EVERY_MINUTES",
  "GOLDSEAL_GC_GRACE_HOURS",
  "GOLDSEAL_GC_UNTAGGED_HOURS",
  "GOLDSEAL_DELETE",
  "GOLDSEAL_ANONYMOUS",
  "GOLDSEAL_TRUST_KEYS",
  "GOLDSEAL_LDAP",
  "GOLDSEAL_LOG_LEVEL",
  "GOLDSEAL_FAILPOINT",
]);

/** The command line's, which may stand in the same environment. */
const CLIENT_VARIABLE = "GOLDSEAL_PASSWORD";

/** By name, those of the environment first. What is no variable, and a file that is none, is added to `mistakes`. */
export function readVariables(env: Variables, yamlText: string | undefined, mistakes: string[]): Variables {
  const fromFile = yamlText === undefined ? {} : readYaml(yamlText, mistakes);
  for (const name of Object.keys(env).filter((name) => name.startsWith("GOLDSEAL_"))) {
    if (VARIABLES.has(name) || name === CLIENT_VARIABLE) continue;
    mistakes.push(unknownName(name, "environment variable"));
  }
  return { ...fromFile, ...ownVariables(env) };
}

function readYaml(text: string, mistakes: string[]): Record<string, string> {
  // "failsafe": every scalar is the text as it is written, so a password 0123 stays one.
  const document = parseDocument(text, { uniqueKeys: true, schema: "failsafe" });
  const content: unknown = document.errors.length === 0 ? document.toJS() : null;
  for (const error of document.errors) mistakes.push(`goldseal.yaml: ${error.message.split("\n")[0]}`);
  if (content === null || content === undefined) return {};
  if (typeof content !== "object" || Array.isArray(content)) {
    mistakes.push("goldseal.yaml: must be a list of NAME: value lines");
    return {};
  }
  const values: Record<string, string> = {};
  for (const [name, value] of Object.entries(content)) {
    if (!VARIABLES.has(name)) mistakes.push(unknownName(name, "key in goldseal.yaml"));
    else if (typeof value === "string") values[name] = value;
    else mistakes.push(`${name}: must be one value in goldseal.yaml`);
  }
  return values;
}

function ownVariables(env: Variables): Record<string, string> {
  const own: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) if (VARIABLES.has(name) && value !== undefined) own[name] = value;
  return own;
}

function unknownName(name: string, what: string): string {
  const near = nearest(name, VARIABLES);
  return `${name}: unknown ${what}${near === undefined ? "" : `; did you mean ${near}?`}`;
}
