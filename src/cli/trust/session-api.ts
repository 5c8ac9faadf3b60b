import { ApiClient } from "../api-client.ts";
import type { TrustSession } from "./session.ts";

/** The REST API of the image's registry, as who signed in. */
export function apiOf({ account }: Pick<TrustSession, "account">): ApiClient {
  const { registry, name, password = "" } = account;
  return new ApiClient({ url: registry.url, ca: registry.ca, name, password });
}
