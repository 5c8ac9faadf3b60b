import type { Command } from "../command.ts";
import { initTrust } from "./init.ts";
import { inspectTrust } from "./inspect.ts";
import { revokeTag } from "./revoke.ts";
import { signImage } from "./sign.ts";
import { verifyImage } from "./verify.ts";

const PIN = {
  "root-key": {
    type: "string",
    value: "ID",
    help: "the root key to trust, as goldseal trust inspect shows it; else the first root that this machine sees",
  },
} as const;

/** Keys and what was trusted before are docker's: `trust` in DOCKER_CONFIG, else in ~/.docker. */
export const trustCommands: readonly Command[] = [
  {
    noun: "trust",
    verb: "init",
    args: ["IMAGE"],
    options: {
      signer: { type: "string", value: "NAME", help: "sign as NAME (default: who signs in)" },
      releases: { type: "boolean", help: "let the registry's own keys release tags too: docker then pulls them" },
    },
    help: "Begin to sign in a repository: make its root, or add to it a signer of yours and the registry's signing roles.",
    runLocally: initTrust,
  },
  {
    noun: "trust",
    verb: "sign",
    args: ["IMAGE:TAG"],
    options: PIN,
    help: "Sign what the registry holds under a tag, multi-platform indexes too; nothing is pushed. IMAGE:TAG@DIGEST signs it only if it is that.",
    runLocally: signImage,
  },
  {
    noun: "trust",
    verb: "revoke",
    args: ["IMAGE:TAG"],
    options: PIN,
    help: "Take a tag out of every role that your keys sign.",
    runLocally: revokeTag,
  },
  {
    noun: "trust",
    verb: "verify",
    args: ["IMAGE:TAG|@DIGEST"],
    options: PIN,
    help: "Say by its exit status whether this is signed and released, and print the name with its digest to pull by.",
    runLocally: verifyImage,
  },
  {
    noun: "trust",
    verb: "inspect",
    args: ["IMAGE[:TAG|@DIGEST]"],
    options: PIN,
    help: "Show what is signed, by whom and until when, and who may sign.",
    runLocally: inspectTrust,
  },
];
