import { isIPv4 } from "node:net";

/** A range of IPv4 addresses, both ends in it. */
export interface Subnet {
  readonly first: number;
  readonly last: number;
}

/** The subnet that an engine makes of it, also where it names an address within; undefined for what is no subnet of IPv4. */
export function rangeOf(text: string): Subnet | undefined {
  const { address, size } = read(text) ?? {};
  if (address === undefined || size === undefined) return undefined;
  const first = address - (address % size);
  return { first, last: first + size - 1 };
}

/** `10.20.0.0/24`, of 4 to 2^24 addresses; undefined for all else, also for an address within a subnet. */
export function findSubnet(text: string): Subnet | undefined {
  const { address, size = 0 } = read(text) ?? {};
  return size >= 4 && size <= 2 ** 24 && address === rangeOf(text)?.first ? rangeOf(text) : undefined;
}

function read(text: string): { readonly address: number; readonly size: number } | undefined {
  const [, address = "", prefix = ""] = /^([\d.]+)\/(\d|[12]\d|3[0-2])$/.exec(text) ?? [];
  if (!isIPv4(address)) return undefined;
  const first = address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
  return { address: first, size: 2 ** (32 - Number(prefix)) };
}

export const overlap = (one: Subnet, other: Subnet): boolean => one.first <= other.last && other.first <= one.last;
