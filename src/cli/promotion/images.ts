import type { JsonObject } from "../../oci/json.ts";
import { isJsonObject } from "../../oci/json.ts";
import type { ApiClient } from "../api-client.ts";
import { UsageError } from "../errors.ts";
import { toText } from "../table.ts";
import { parseImage } from "../trust/image.ts";

/** An image as REST takes it: without the registry's host, which has to be the one that is asked. @throws UsageError */
export function imageOf({ origin }: Pick<ApiClient, "origin">, text: string): string {
  const { host, repository, tag, digest } = parseImage(text);
  if (host !== undefined && host !== new URL(origin).host)
    throw new UsageError(`${text} is at ${host}, and this is ${origin}; name the other with --url`);
  return `${repository}${tag === undefined ? "" : `:${tag}`}${digest === undefined ? "" : `@${digest}`}`;
}

/** `dev/app:1.4` of what REST says; a dash for what is hidden. */
export function nameOf(image: JsonObject[string] | undefined): string {
  if (!isJsonObject(image) || image.repository === null) return "-";
  return `${toText(image.repository)}${image.tag === null ? "" : `:${toText(image.tag)}`}`;
}
