import { z } from "zod";
import { forms, section, text, whole } from "./shapes.ts";

export interface Port {
  readonly target: number;
  /** Undefined: the cluster takes a free one. */
  readonly published?: number;
  readonly protocol: "tcp" | "udp" | "sctp";
  readonly mode: "ingress" | "host";
}

const SHORT =
  /^(?:(?<address>.*):)?(?:(?<published>\d{1,5}(?:-\d{1,5})?):)?(?<target>\d{1,5}(?:-\d{1,5})?)(?:\/(?<protocol>tcp|udp|sctp))?$/;
const MAX_RANGE = 256;

const short = text.transform((written, context): Port[] => {
  const ports = toPorts(written);
  if (typeof ports !== "string") return ports;
  context.addIssue(ports);
  return z.NEVER;
});

const long = section({
  target: whole,
  published: whole.optional(),
  protocol: z.enum(["tcp", "udp", "sctp"]).default("tcp"),
  mode: z.enum(["ingress", "host"]).default("ingress"),
}).transform(({ published, ...port }): Port[] => [{ ...port, ...(published === undefined ? {} : { published }) }]);

export const ports = z.array(forms(short, long)).transform((lists) => lists.flat());

/** `8080:80`, `53:53/udp`, `8000-8002:80-82`, `80`; or why not. */
function toPorts(written: string): Port[] | string {
  const { target = "", published, address, protocol = "tcp" } = SHORT.exec(written)?.groups ?? {};
  // `8080:80` fits with 8080 as an address too, and no address is digits alone.
  const [host, outer] =
    published === undefined && /^[\d-]+$/.test(address ?? "") ? [undefined, address] : [address, published];
  if (target === "") return "a port is like 8080:80, 80 or 53:53/udp";
  if (host !== undefined) return "Swarm publishes at every address of a node: leave the address out";
  const [inside, outside] = [range(target), outer === undefined ? undefined : range(outer)];
  if (inside.length === 0 || inside.length > MAX_RANGE) return `a range goes upward, over ${MAX_RANGE} ports at most`;
  if (outside !== undefined && outside.length !== inside.length) return "both ranges have the same length";
  return inside.map((port, index) => {
    const there = outside?.[index];
    return {
      target: port,
      ...(there === undefined ? {} : { published: there }),
      protocol: protocol as Port["protocol"],
      mode: "ingress",
    };
  });
}

function range(written: string): number[] {
  const [first = 0, last = first] = written.split("-").map(Number);
  return Array.from({ length: Math.max(0, Math.min(last - first + 1, MAX_RANGE + 1)) }, (_, index) => first + index);
}
