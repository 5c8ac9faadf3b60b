import type { Command } from "./command.ts";
import { repositoryPath } from "./paths.ts";
import { field, writeList } from "./table.ts";

const COLUMNS = {
  gun: field("gun"),
  role: field("role"),
  key: field("keyId"),
  algorithm: field("algorithm"),
  used: field("firstUsedAt"),
};

export const trustKeysCommands: readonly Command[] = [
  {
    noun: "trust-keys",
    verb: "list",
    args: [],
    help: "List the keys that the server signs trust data with; one without a time of first use waits to be named by a root.",
    run: async (call) => {
      writeList(
        call,
        await call.client.list("/api/v1/trust-keys", "trustKeys", "list the server's trust keys"),
        COLUMNS,
      );
    },
  },
  {
    noun: "trust-keys",
    verb: "rotate",
    args: ["NAME"],
    help: "Make the next timestamp and snapshot key of a repository. The root's owner puts them to use: notary key rotate -r.",
    run: async ({ client, args: [name = ""], io }) => {
      const path = repositoryPath(name, "trust-keys", "rotate");
      const { body } = await client.call("POST", path, `rotate the trust keys of ${name}`);
      io.stdout.write(`timestamp ${body.timestamp}\nsnapshot ${body.snapshot}\n`);
    },
  },
  {
    noun: "trust-keys",
    verb: "rotate-all",
    args: [],
    help: "Make the next key of every repository and role at once, where none waits yet.",
    run: async ({ client, io }) => {
      const { body } = await client.call("POST", "/api/v1/trust-keys/rotate", "rotate all trust keys");
      io.stdout.write(`${body.made}\n`);
    },
  },
  {
    noun: "keyring",
    verb: "reseal",
    args: [],
    help: "Seal everything with the first key of the master key file, which every server must have; then old lines can go.",
    run: async ({ client, io }) => {
      const { body } = await client.call("POST", "/api/v1/keyring/reseal", "reseal what the key ring has sealed");
      io.stdout.write(`${body.resealed}\n`);
    },
  },
];
