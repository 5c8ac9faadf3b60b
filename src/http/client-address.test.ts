import { describe, expect, it } from "vitest";
import { parseConfig } from "../config.ts";
import { clientAddressBehind } from "./client-address.ts";

/** What is found behind `proxies` of a connection from `peer` with these X-Forwarded-For lines. */
function find(proxies: string, peer: string | undefined, ...lines: string[]): string {
  const { trustedProxies } = parseConfig(proxies === "" ? {} : { GOLDSEAL_TRUSTED_PROXIES: proxies });
  const headersDistinct = lines.length === 0 ? {} : { "x-forwarded-for": lines };
  return clientAddressBehind(trustedProxies)({ headersDistinct, socket: { remoteAddress: peer } });
}

const CHAIN = "10.0.0.0/24, 192.0.2.1, fd00:1::/64";

describe("the address of a client", () => {
  it.each([
    ["no proxy is trusted", "", "203.0.113.9", ["198.51.100.7"], "203.0.113.9"],
    ["a stranger writes the header", CHAIN, "203.0.113.9", ["198.51.100.7"], "203.0.113.9"],
    ["a stranger says a proxy asks for him", CHAIN, "203.0.113.9", ["198.51.100.7, 10.0.0.5"], "203.0.113.9"],
    ["a neighbour of a proxy writes it", CHAIN, "192.0.2.2", ["198.51.100.7"], "192.0.2.2"],
    ["the connection is gone", CHAIN, undefined, ["198.51.100.7"], ""],
  ])("is the other end's where %s", (_where, proxies, peer, lines, expected) => {
    expect(find(proxies, peer, ...lines)).toBe(expected);
  });

  it.each([
    ["by one proxy", "10.0.0.5", ["198.51.100.7"], "198.51.100.7"],
    ["by one that came as IPv6", "::ffff:10.0.0.5", ["198.51.100.7"], "198.51.100.7"],
    ["by an IPv6 one", "fd00:1::9", ["2001:db8::7"], "2001:db8::7"],
    ["through a chain of two", "10.0.0.5", ["198.51.100.7, 192.0.2.1"], "198.51.100.7"],
    ["through a chain of both families", "10.0.0.5", ["2001:db8::7,fd00:1::1"], "2001:db8::7"],
    ["in two lines", "10.0.0.5", ["198.51.100.7", "192.0.2.1"], "198.51.100.7"],
    ["with what the client wrote before", "10.0.0.5", ["127.0.0.1, 198.51.100.7"], "198.51.100.7"],
    ["with a line that the client wrote before", "10.0.0.5", ["127.0.0.1", "198.51.100.7"], "198.51.100.7"],
    ["with a trusted address that the client wrote", "10.0.0.5", ["192.0.2.1, 198.51.100.7"], "198.51.100.7"],
    ["with rubbish that the client wrote", "10.0.0.5", ["<script>, ,, 198.51.100.7"], "198.51.100.7"],
    ["with rubbish before a chain", "10.0.0.5", ["x, 198.51.100.7, 192.0.2.1"], "198.51.100.7"],
    ["in capitals", "10.0.0.5", ["2001:DB8:0:0::7"], "2001:db8::7"],
    ["as IPv4 in IPv6", "10.0.0.5", ["::FFFF:C633:6407"], "198.51.100.7"],
    ["as a proxy's own request", "10.0.0.5", ["10.0.0.7, 192.0.2.1"], "10.0.0.7"],
  ])("is what is told %s", (_how, peer, lines, expected) => {
    expect(find(CHAIN, peer, ...lines)).toBe(expected);
  });

  it.each([
    ["nothing", []],
    ["an empty line", [""]],
    ["a name", ["unknown"]],
    ["an address and a port", ["198.51.100.7:4711"]],
    ["an address in brackets", ["[2001:db8::7]"]],
    ["an address of one interface", ["fe80::1%eth0"]],
    ["too large a number", ["198.51.100.256"]],
    ["an octal address", ["0306.063.0144.07"]],
    ["rubbish behind the client", ["198.51.100.7, x"]],
    ["rubbish behind the client, before a proxy", ["198.51.100.7, x, 192.0.2.1"]],
    ["an empty element at the end", ["198.51.100.7,"]],
    ["a long line", ["x".repeat(16_000)]],
  ])("is the proxy's where that says %s", (_what, lines) => {
    expect(find(CHAIN, "10.0.0.5", ...lines)).toBe("10.0.0.5");
  });
});
