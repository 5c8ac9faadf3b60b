import { readFile } from "node:fs/promises";
import { parseDocument } from "yaml";
import { z } from "zod";
import { durationSchema, imagePatternSchema, nameSchema, requireSchema, teamSchema } from "../../trust/require.ts";
import type { OptionValues } from "../connection.ts";
import { CliError, UsageError } from "../errors.ts";
import { listOf, readRequire } from "./require-option.ts";

const environmentSchema = z.strictObject({
  images: z.array(imagePatternSchema).min(1),
  require: requireSchema,
  maxTimestampAge: durationSchema.optional(),
  /** Users, all of whose keys are meant, or key ids. */
  operators: z.array(z.string()).default([]),
  /** Looked at when the document is whole, as are the last three. */
  specLimits: z.record(z.string(), z.json()).default({}),
  rights: z.record(teamSchema, z.string()).default({}),
  placement: z.json().optional(),
  onTrustLost: z.json().optional(),
  onUnmanaged: z.json().optional(),
});

/** What a draft begins with: a policy document in which people have no keys yet, and teams no members. */
const templateSchema = z.strictObject({
  environments: z.record(nameSchema, environmentSchema).default({}),
  /** Names to look up, or by name those whose members are given here. */
  teams: z.union([z.array(teamSchema), z.record(teamSchema, z.array(nameSchema))]).default([]),
  /** Whose keys are listed beside those of teams and operators: policy signers, and people for rules without a team. */
  users: z.array(nameSchema).default([]),
  /** Of a policy document: only whose they are is looked at. */
  keys: z.record(z.string(), z.looseObject({ user: nameSchema })).default({}),
  version: z.unknown().optional(),
  expires: z.unknown().optional(),
});

export type TemplateEnvironment = z.infer<typeof environmentSchema>;
export type Template = Pick<z.infer<typeof templateSchema>, "environments" | "teams" | "users">;

/** @throws CliError */
export async function readTemplate(path: string): Promise<Template> {
  const text = await readFile(path, "utf8").catch((cause: unknown) => {
    throw new CliError(`cannot read ${path}`, { cause });
  });
  // JSON is YAML too.
  const document = parseDocument(text, { uniqueKeys: true });
  const [mistake] = document.errors;
  if (mistake !== undefined) throw new CliError(`${path}: ${mistake.message}`);
  return toTemplate(path, document.toJS({ maxAliasCount: 0 }));
}

/** Also of a whole policy document: its people, their keys and its end are looked up anew. @throws CliError */
export function toTemplate(name: string, value: unknown): Template {
  const parsed = templateSchema.safeParse(value);
  if (parsed.success) {
    const { environments, teams, users, keys } = parsed.data;
    return { environments, teams, users: [...users, ...Object.values(keys).map(({ user }) => user)] };
  }
  const wrong = parsed.error.issues.map(({ path, message }) => `${path.map(String).join(".")}: ${message}`);
  throw new CliError(`${name}: ${wrong.join("; ")}`);
}

/** The environment that the command line describes; undefined for none. @throws UsageError */
export function readEnvironment(options: OptionValues): readonly [string, TemplateEnvironment] | undefined {
  const { environment: name } = options;
  if (typeof name !== "string") return undefined;
  const wire = {
    images: listOf(options.images),
    require: readRequire(options.require),
    operators: listOf(options.operators),
    rights: Object.fromEntries(listOf(options.rights).map(toRight)),
    ...(typeof options["timestamp-age"] === "string" ? { maxTimestampAge: options["timestamp-age"] } : {}),
  };
  const parsed = environmentSchema.safeParse(wire);
  if (parsed.success) return [name, parsed.data];
  const wrong = parsed.error.issues.map(({ path, message }) => `--${path.map(String).join(".")}: ${message}`);
  throw new UsageError(wrong.join("\n"));
}

function toRight(text: string): readonly [string, string] {
  const [team = "", right = ""] = text.split("=");
  if (right === "") throw new UsageError(`--rights: ${JSON.stringify(text)} is not like acme/ops=deploy`);
  return [team, right];
}
