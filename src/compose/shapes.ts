import { z } from "zod";
import { findBytes, findSpan, findWords } from "./units.ts";

/** The ways in which a compose file says things. Numbers and yes-or-no may be text: a variable's value is. */

/** A member that is `x-…` is anybody's own, and one without a value is as if it was not there. */
export function section<S extends z.ZodRawShape>(shape: S) {
  return z.preprocess(dropExtensions, z.strictObject(shape));
}

function dropExtensions(value: unknown): unknown {
  if (!isMap(value)) return value;
  return Object.fromEntries(Object.entries(value).filter(([key, entry]) => !key.startsWith("x-") && entry !== null));
}

/** What a map is in long, whoever does not write one means the short form: what is wrong is said of the form that was meant. */
export function forms<S, L>(short: z.ZodType<S>, long: z.ZodType<L>) {
  return z.unknown().transform((value, context): S | L => {
    const parsed = (isMap(value) ? long : short).safeParse(value);
    if (parsed.success) return parsed.data;
    for (const issue of parsed.error.issues) context.addIssue({ ...issue });
    return z.NEVER;
  });
}

export function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export const text = z.union([z.string(), z.number().transform(String)], "text");
export const whole = z.union(
  [
    z.int(),
    z
      .string()
      .regex(/^-?\d{1,15}$/)
      .transform(Number),
  ],
  "a whole number",
);
export const decimal = z.union(
  [
    z.number(),
    z
      .string()
      .regex(/^\d{1,9}(\.\d{1,9})?$/)
      .transform(Number),
  ],
  "a number",
);
export const yesOrNo = z.union(
  [z.boolean(), z.enum(["true", "false"]).transform((word) => word === "true")],
  "true or false",
);
export const texts = z.array(text);
/** `x` or `[x, y]`. */
export const oneOrMore = z.union([text.transform((one) => [one]), texts], "text, or a list of it");

export const span = z.string().transform(orIssue(findSpan, "a time such as 30s or 1m30s"));
export const bytes = z.union(
  [z.int().min(0), z.string().transform(orIssue(findBytes, "a size"))],
  "a size such as 50M or 1gb",
);
/** A list, or a line as a shell has it. */
export const words = z.union(
  [texts, z.string().transform(orIssue(findWords, "a line"))],
  "a list, or a line whose quotes end",
);

/** `{a: b}` or `[a=b, c]`; undefined: no value was given. A number is what it looks like. */
export function pairs(value: z.ZodType<string | undefined>) {
  const list = z.array(z.string()).transform((lines) => Object.fromEntries(lines.map(splitPair)));
  return forms(list, z.record(z.string(), value));
}

function splitPair(line: string): [string, string | undefined] {
  const at = line.indexOf("=");
  return at < 0 ? [line, undefined] : [line.slice(0, at), line.slice(at + 1)];
}

export const labels = pairs(
  z.union([text, z.boolean().transform(String), z.null().transform(() => "")], "text"),
).transform((found) => Object.fromEntries(Object.entries(found).map(([name, value]) => [name, value ?? ""])));

/** `undefined` from `find` becomes an issue. */
export function orIssue<I, O>(find: (value: I) => O | undefined, message: string) {
  return (value: I, context: z.RefinementCtx): O => {
    const found = find(value);
    if (found !== undefined) return found;
    context.addIssue(message);
    return z.NEVER;
  };
}
