import type { Command } from "./command.ts";

export const tokenKeysCommands: readonly Command[] = [
  {
    noun: "token-keys",
    verb: "rotate",
    args: [],
    help: "Sign tokens with a new key from now on. Tokens of the old one stay good until they end (five minutes).",
    run: async ({ client, io }) => {
      const { body } = await client.call("POST", "/api/v1/token-keys/rotate", "rotate the keys of the token service");
      io.stdout.write(`${body.kid}\n`);
    },
  },
];
