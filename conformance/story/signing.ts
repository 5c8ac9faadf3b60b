/** How people sign in trust data: docker founds it, and our own command line signs. */
import type { Machine } from "./machines.ts";
import type { Stage } from "./tamper.ts";
import { must } from "./world.ts";

/** Trust data whose only delegate is `signer`, the key of whom it is called after; founded by docker at this machine. */
export async function found({ image }: Stage, who: Machine, signer: string): Promise<void> {
  await must(who.docker(`trust signer add --key ${signer}.pub ${signer} ${image}`), /Successfully added signer/);
}

/** By whichever of the keys at this machine may. */
export async function sign({ image }: Stage, who: Machine, tag = "1"): Promise<void> {
  await must(who.goldseal(`trust sign ${image}:${tag}`), /^signed /);
}
