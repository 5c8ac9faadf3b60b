import { BlockList, isIP } from "node:net";

export interface Network {
  readonly address: string;
  /** Of the prefix. */
  readonly bits: number;
  readonly family: "ipv4" | "ipv6";
}

/** Whether an address lies in one of `networks`; what is no address lies in none. */
export function inNetworks(networks: readonly Network[]): (address: string) => boolean {
  const list = new BlockList();
  for (const { address, bits, family } of networks) list.addSubnet(address, bits, family);
  return (address) => {
    // A socket for both families shows IPv4 like this.
    const plain = address.replace(/^::ffff:(?=[\d.]+$)/i, "");
    const family = isIP(plain);
    return family !== 0 && list.check(plain, family === 6 ? "ipv6" : "ipv4");
  };
}
