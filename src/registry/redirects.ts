import { BlockList, isIP } from "node:net";

interface Network {
  readonly address: string;
  readonly bits: number;
  readonly family: "ipv4" | "ipv6";
}

/** Whether a client at an address is sent to the bucket for its blobs: GOLDSEAL_BLOB_REDIRECT. */
export function redirectsFor(redirect: "off" | "on" | readonly Network[]): (address: string) => boolean {
  if (redirect === "off" || redirect === "on") return () => redirect === "on";
  const networks = new BlockList();
  for (const { address, bits, family } of redirect) networks.addSubnet(address, bits, family);
  return (address) => {
    // A socket for both families shows IPv4 like this.
    const plain = address.replace(/^::ffff:(?=[\d.]+$)/, "");
    return networks.check(plain, isIP(plain) === 6 ? "ipv6" : "ipv4");
  };
}
