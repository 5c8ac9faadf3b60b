import { OciError } from "../oci/error.ts";
import { parseRepositoryName, type RepositoryName } from "../oci/repository-name.ts";

/** At most one `*` or `**` in a component, so that matching takes time in proportion to the name. */
const COMPONENT = /^[a-z0-9._-]*(?:\*\*?)?[a-z0-9._-]*$/;

/**
 * `ops/*` or `ops/app`: `*` is one or more characters of one path component; `**`, which may stand there once, of any
 * number of them. Everything else means itself: `ops/*` is neither `ops` nor `ops/team/app`.
 */
export function isImagePattern(text: string): boolean {
  const components = text.split("/");
  const isGood = (component: string): boolean => component !== "" && COMPONENT.test(component);
  return text.length <= 255 && components.every(isGood) && text.split("**").length <= 2;
}

export function matchesImage(pattern: string, repository: RepositoryName): boolean {
  return toRegExp(pattern).test(repository);
}

function toRegExp(pattern: string): RegExp {
  const parts = pattern.split(/(\*\*?)/).map((part) => {
    if (part === "**") return ".+";
    return part === "*" ? "[^/]+" : part.replaceAll(".", "\\.");
  });
  return new RegExp(`^${parts.join("")}$`);
}

/** `qa/{name}`: where the signatures for an image are looked for. `{name}` is its path without the first component. */
export function isGunTemplate(text: string): boolean {
  return findRepository(text.replaceAll("{name}", "a")) !== undefined;
}

/** `qa/{name}` for `ops/shop/web` is `qa/shop/web`; undefined when that is no repository (it would be too long). */
export function fillGunTemplate(template: string, repository: RepositoryName): RepositoryName | undefined {
  return findRepository(template.replaceAll("{name}", repository.slice(repository.indexOf("/") + 1)));
}

function findRepository(text: string): RepositoryName | undefined {
  try {
    return parseRepositoryName(text);
  } catch (error) {
    if (error instanceof OciError) return undefined;
    throw error;
  }
}
