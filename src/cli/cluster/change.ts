import type { Json } from "../../oci/json.ts";
import type { CommandCall } from "../command.ts";
import { sendOrder } from "./order.ts";

interface Change {
  /** `network.create`, … */
  readonly action: string;
  readonly body: Json;
  /** `make the network backend`, as messages say it. */
  readonly doing: string;
  /** `made the network backend`. */
  readonly did: string;
}

/** Orders a change that is no deployment, by a signature made here, and says when it is done. @throws CliError, UsageError */
export async function orderChange(call: CommandCall, { action, body, doing, did }: Change): Promise<void> {
  await sendOrder(call, { action, doing, body: Buffer.from(JSON.stringify(body)) });
  if (call.options.json !== true) call.io.stderr.write(`${did}\n`);
}
