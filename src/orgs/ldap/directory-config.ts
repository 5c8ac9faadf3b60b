import { parseDocument } from "yaml";
import { z } from "zod";
import { findFilterMistake } from "./directory.ts";

/** One directory, as the file that GOLDSEAL_LDAP names describes it. */
export type DirectoryConfig = z.infer<typeof directorySchema>;

const NAME = /^[a-z0-9]+(?:[_-][a-z0-9]+)*$/;
const filter = z.string().superRefine((text, context) => {
  const mistake = /^\(.*\)$/s.test(text) ? findFilterMistake(text) : "a filter stands in parentheses";
  if (mistake !== undefined) context.addIssue({ code: "custom", message: mistake });
});
const attribute = z.string().regex(/^[A-Za-z][A-Za-z0-9-]*$/, "the name of an attribute");
const minutes = z.int().min(0).max(10_080);

/** Whom it means: those in `group`, or those whom `filter` finds. What it gives them: `team`, or `owners`. */
const syncSchema = z
  .strictObject({
    /** DN of a group; members of groups in it count. */
    group: z.string().min(1).optional(),
    /** Of entries that `users.filter` matches too. */
    filter: filter.optional(),
    /** Where `filter` looks; default: `users.base`. */
    base: z.string().min(1).optional(),
    team: z
      .string()
      .refine((text) => {
        const [org = "", team = "", ...more] = text.split("/");
        return NAME.test(org) && NAME.test(team) && more.length === 0;
      }, "a team is <organization>/<team>")
      .optional(),
    /** An organization: they own it. */
    owners: z.string().regex(NAME, "owners is the name of an organization").optional(),
  })
  .refine(({ group, filter }) => (group === undefined) !== (filter === undefined), "a rule has either group or filter")
  .refine(({ team, owners }) => (team === undefined) !== (owners === undefined), "a rule has either team or owners")
  .refine(({ group, base }) => group === undefined || base === undefined, {
    path: ["base"],
    message: "goes with filter; a group is named by its whole DN",
  });

const directorySchema = z
  .strictObject({
    name: z.string().regex(NAME, "a name is of a-z and 0-9, with single - or _ between"),
    url: z.string().regex(/^ldaps?:\/\/[^/?#]+$/, "ldap://host:port or ldaps://host:port"),
    /** Encrypt an ldap:// connection before anything is said on it. */
    startTls: z.boolean().default(false),
    /** PEM file of the CA that signed the server's certificate; without it the well-known ones count. */
    ca: z.string().min(1).optional(),
    bindDn: z.string().min(1),
    /** Holds the password of bindDn. */
    bindPasswordFile: z.string().min(1),
    users: z.strictObject({
      base: z.string().min(1),
      filter: filter.default("(objectClass=inetOrgPerson)"),
      /** What people type as their name. */
      name: attribute.default("uid"),
      /** What never changes. */
      id: attribute.default("entryUUID"),
    }),
    groups: z
      .strictObject({
        base: z.string().min(1),
        filter: filter.default("(objectClass=groupOfNames)"),
        /** Holds DNs of users and of groups. */
        member: attribute.default("member"),
      })
      .optional(),
    sync: z.array(syncSchema).default([]),
    syncMinutes: minutes.min(1).default(5),
    /** While the directory cannot be reached, a password that it took within so many minutes is taken still. */
    graceMinutes: minutes.default(60),
    timeoutSeconds: z.int().min(1).max(60).default(5),
  })
  .refine(({ url, startTls }) => url.startsWith("ldaps:") || startTls, {
    path: ["startTls"],
    message: "passwords would be sent in the clear: use ldaps://, or startTls: true",
  })
  .refine(({ url, startTls }) => !(url.startsWith("ldaps:") && startTls), {
    path: ["startTls"],
    message: "an ldaps:// connection is encrypted from the start; leave startTls out",
  })
  .refine(({ sync, groups }) => groups !== undefined || sync.every(({ group }) => group === undefined), {
    path: ["groups"],
    message: "needed by sync",
  });

const fileSchema = z.strictObject({
  directories: z
    .array(directorySchema)
    .min(1)
    .refine((all) => new Set(all.map(({ name }) => name)).size === all.length, "two directories have one name"),
});

/** @throws Error with every mistake, one a line */
export function parseDirectories(text: string, file: string): readonly DirectoryConfig[] {
  const document = parseDocument(text, { uniqueKeys: true });
  const mistakes = document.errors.map(({ message }) => message.split("\n")[0] ?? "");
  if (mistakes.length > 0) throw mistaken(file, mistakes);
  const parsed = fileSchema.safeParse(document.toJS());
  if (parsed.success) return parsed.data.directories;
  throw mistaken(
    file,
    parsed.error.issues.map(({ path, message }) => (path.length > 0 ? `${path.join(".")}: ${message}` : message)),
  );
}

function mistaken(file: string, mistakes: readonly string[]): Error {
  return new Error(mistakes.map((mistake) => `GOLDSEAL_LDAP: ${file}: ${mistake}`).join("\n"));
}
