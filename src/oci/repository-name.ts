import { OciError } from "./error.ts";

/** `<org or user>/<name>`, name of one or more path components; at most 255 characters. */
export type RepositoryName = string & { readonly __brand: "RepositoryName" };
/** The first component of a repository name: a user or an organization. */
export type NamespaceName = string & { readonly __brand: "NamespaceName" };

const maxNameLength = 255;
const COMPONENT = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const NAMESPACE = /^[a-z0-9]+(?:[_-][a-z0-9]+)*$/;

export function isNamespaceName(text: string): boolean {
  return text.length >= 2 && text.length <= 32 && NAMESPACE.test(text);
}

export function isRepositoryName(text: string): text is RepositoryName {
  try {
    parseRepositoryName(text);
    return true;
  } catch (error) {
    if (error instanceof OciError) return false;
    throw error;
  }
}

/**
 * @throws OciError NAME_INVALID, with the rule that was broken
 * @see distribution-spec v1.1 "Pulling manifests"
 */
export function parseRepositoryName(text: string): RepositoryName {
  if (text.length > maxNameLength) throw invalid(`longer than ${maxNameLength} characters`);
  const components = text.split("/");
  const [namespace = ""] = components;
  if (!components.every((component) => COMPONENT.test(component))) {
    throw invalid("components are lower-case letters and digits, joined by one of . _ __ or dashes");
  }
  if (components.length < 2) throw invalid("a repository is <user or organization>/<name>");
  if (!isNamespaceName(namespace)) {
    throw invalid("the first component is a user or organization: 2 to 32 of a-z, 0-9, single - or _ between");
  }
  return text as RepositoryName;
}

export function namespaceOf(name: RepositoryName): NamespaceName {
  return name.slice(0, name.indexOf("/")) as NamespaceName;
}

function invalid(why: string): OciError {
  return new OciError("NAME_INVALID", { message: `invalid repository name: ${why}` });
}
