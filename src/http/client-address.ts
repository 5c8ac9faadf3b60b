/**
 * Who asks, by address: what limits of sign-ins, networks of GOLDSEAL_BLOB_REDIRECT, the audit and the log mean by it. The
 * only place where a header of a proxy is read, and only of the proxies that GOLDSEAL_TRUSTED_PROXIES names: anybody can
 * write `X-Forwarded-For`. What others like it say (`-Proto`, `-Host`, `Forwarded`) counts for nothing.
 */
import type { IncomingMessage } from "node:http";
import { isIP, type Socket, SocketAddress } from "node:net";
import { inNetworks, type Network } from "./networks.ts";

/** What is looked at of a request. */
type Message = Pick<IncomingMessage, "headersDistinct"> & { readonly socket: Pick<Socket, "remoteAddress"> };

export type ClientAddressOf = (message: Message) => string;

/** With no `proxies`: the other end of the connection, which is empty where the connection is gone. */
export function clientAddressBehind(proxies: readonly Network[]): ClientAddressOf {
  if (proxies.length === 0) return peerOf;
  const isProxy = inNetworks(proxies);
  return (message) => {
    const peer = peerOf(message);
    if (!isProxy(peer)) return peer;
    // A proxy may add a line of its own to the one it was sent: lines in their order are one list, RFC 9110 section 5.3.
    const hops = (message.headersDistinct["x-forwarded-for"] ?? []).join(",").split(",");
    return findClient(hops, isProxy) ?? peer;
  };
}

function peerOf({ socket }: Message): string {
  return socket.remoteAddress ?? "";
}

/**
 * The last address that is no proxy's, and the first where all are. Each proxy adds at the end, so what stands left of a
 * stranger is what the stranger wrote: it is not even looked at. Undefined: something else stands where an address should.
 */
function findClient(hops: readonly string[], isProxy: (address: string) => boolean): string | undefined {
  let client: string | undefined;
  for (const hop of hops.toReversed()) {
    client = findAddress(hop.trim());
    if (client === undefined || !isProxy(client)) return client;
  }
  return client;
}

/** In the one spelling that each has: an address that could be written in two ways would have two limits. */
function findAddress(text: string): string | undefined {
  const family = isIP(text);
  if (family === 0 || text.includes("%")) return undefined;
  const { address } = new SocketAddress({ address: text, family: family === 6 ? "ipv6" : "ipv4" });
  return address.replace(/^::ffff:(?=[\d.]+$)/, "");
}
