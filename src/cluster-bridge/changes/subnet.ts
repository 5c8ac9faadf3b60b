import { BlockList, isIP, isIPv4 } from "node:net";

export interface Subnet {
  /** Any of its addresses. */
  readonly address: string;
  readonly prefix: number;
  readonly family: "ipv4" | "ipv6";
}

/** The subnet that an engine makes of it, also where it names an address within; undefined for what is none. */
export function parseSubnet(text: string): Subnet | undefined {
  const [, address = "", digits = ""] = /^([\da-fA-F.:]+)\/(\d{1,3})$/.exec(text) ?? [];
  const [version, prefix] = [isIP(address), Number(digits)];
  if (version === 0 || prefix > (version === 4 ? 32 : 128)) return undefined;
  return { address, prefix, family: version === 4 ? "ipv4" : "ipv6" };
}

/** `10.20.0.0/24`, of 4 to 2^24 addresses; false for all else, also for an address within a subnet, and for IPv6. */
export function isWholeSubnet(text: string): boolean {
  const [address = "", prefix = ""] = text.split("/");
  if (!isIPv4(address) || !/^([89]|[12]\d|30)$/.test(prefix)) return false;
  const bits = address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
  return bits % 2 ** (32 - Number(prefix)) === 0;
}

/** Of two that overlap one holds the other, with all its addresses. */
export const overlap = (one: Subnet, other: Subnet): boolean => holds(one, other) || holds(other, one);

function holds({ address, prefix, family }: Subnet, other: Subnet): boolean {
  const addresses = new BlockList();
  addresses.addSubnet(address, prefix, family);
  return family === other.family && addresses.check(other.address, other.family);
}
