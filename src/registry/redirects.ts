import { inNetworks, type Network } from "../http/networks.ts";

/** Whether a client at an address is sent to the bucket for its blobs: GOLDSEAL_BLOB_REDIRECT. */
export function redirectsFor(redirect: "off" | "on" | readonly Network[]): (address: string) => boolean {
  if (redirect === "off" || redirect === "on") return () => redirect === "on";
  return inNetworks(redirect);
}
