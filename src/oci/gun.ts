import { OciError } from "./error.ts";
import { parseRepositoryName, type RepositoryName } from "./repository-name.ts";

/**
 * The repository whose trust data has the GUN `text`: the authority of our public URL, a slash, the repository's name.
 * Undefined for every other GUN.
 * @see docker's "full image name": `reg.example.com:5000/team/app`
 */
export function repositoryOfGun(text: string, authority: string): RepositoryName | undefined {
  if (!text.startsWith(`${authority}/`)) return undefined;
  try {
    return parseRepositoryName(text.slice(authority.length + 1));
  } catch (error) {
    if (error instanceof OciError) return undefined;
    throw error;
  }
}

export function gunOfRepository(repository: RepositoryName, authority: string): string {
  return `${authority}/${repository}`;
}

/** What GUNs begin with and tokens are issued for: host and port of the public URL, lower case, `:443` dropped. */
export function authorityOf(publicUrl: string): string {
  return new URL(publicUrl).host;
}
