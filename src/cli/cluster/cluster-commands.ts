import type { Command } from "../command.ts";
import { networksCommands } from "./networks-commands.ts";
import { nodesCommands } from "./nodes-commands.ts";
import { sealedCommands } from "./sealed-commands.ts";
import { servicesCommands } from "./services-commands.ts";
import { volumesCommands } from "./volumes-commands.ts";

/** The cluster, through the registry's relay to the bridge. */
export const clusterCommands: readonly Command[] = [
  ...nodesCommands,
  ...servicesCommands,
  ...networksCommands,
  ...volumesCommands,
  ...sealedCommands,
];
