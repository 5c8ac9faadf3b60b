import { isIPv4 } from "node:net";

/** A range of IPv4 addresses, both ends in it. */
export interface Subnet {
  readonly first: number;
  readonly last: number;
}

/** `10.20.0.0/24`, of 4 to 2^24 addresses; undefined for all else, also for an address within a subnet. */
export function findSubnet(text: string): Subnet | undefined {
  const [, address = "", prefix = ""] = /^([\d.]+)\/([1-9]\d?)$/.exec(text) ?? [];
  const bits = 32 - Number(prefix);
  if (!isIPv4(address) || bits < 2 || bits > 24) return undefined;
  const first = address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
  return first % 2 ** bits === 0 ? { first, last: first + 2 ** bits - 1 } : undefined;
}

export const overlap = (one: Subnet, other: Subnet): boolean => one.first <= other.last && other.first <= one.last;
