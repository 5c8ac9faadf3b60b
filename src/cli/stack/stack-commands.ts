import type { Command, CommandOption, LocalCall } from "../command.ts";
import { printable } from "../table.ts";
import { readStack } from "./stack-file.ts";

const composeFile: CommandOption = { type: "string", short: "c", value: "FILE", help: "the compose file" };

/** Stacks on the cluster behind the bridge. */
export const stackCommands: readonly Command[] = [
  {
    noun: "stack",
    verb: "config",
    args: ["NAME"],
    options: { "compose-file": composeFile },
    help: `Print a compose file as it would be signed and sent: with the values of variables and the content of files,
      secrets too. What a Swarm does not have is named. Nothing is sent.`,
    runLocally: printStack,
  },
];

async function printStack(call: LocalCall): Promise<void> {
  const [name = ""] = call.args;
  const { stack, notes } = await readStack(call, name);
  for (const note of notes) call.io.stderr.write(`note: ${printable(note)}\n`);
  call.io.stdout.write(`${JSON.stringify(stack, undefined, 2)}\n`);
}
