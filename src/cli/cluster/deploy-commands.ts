import type { Command } from "../command.ts";
import { deploy, removeService, rollBack } from "./deploy.ts";
import { orderOptions } from "./order.ts";

const text = (value: string, help: string) => ({ type: "string", value, help }) as const;

const deployOptions = {
  ...orderOptions,
  file: { ...text("FILE", "a service in YAML or JSON, as docs/bridge.md has it; options go over it"), short: "f" },
  name: text("NAME", "of the service (default: the last part of the image's name)"),
  replicas: text("N|global", "how many tasks"),
  env: text("NAME=VALUE,…", "environment variables"),
  publish: text("PORT:PORT,…", "ports, such as 8080:80"),
  network: text("NAME,…", "networks to be in"),
  "dry-run": { type: "boolean", help: "say where it would run and why, and change nothing" },
  "break-glass": text("FILE", "a signed statement that lets it run unsigned: goldseal break-glass"),
} as const;

const HELP = `Run an image on the cluster: create the service, or update it. The bridge takes the digest that the right people
      signed, watches until it runs, and goes back to what ran before where it does not. Prints the image by its digest.`;

/** Single services, by orders that are signed here. */
export const deployCommands: readonly Command[] = [
  { noun: "deploy", verb: "", args: ["IMAGE"], options: deployOptions, help: HELP, run: deploy },
  { noun: "deploy", verb: "", args: [], options: deployOptions, help: "The image that the file names.", run: deploy },
  {
    noun: "rollback",
    verb: "",
    args: ["SERVICE"],
    options: orderOptions,
    help: "Let a service be what it was before, as far as that is still signed. Prints the image by its digest.",
    run: rollBack,
  },
  {
    noun: "services",
    verb: "rm",
    args: ["NAME"],
    options: orderOptions,
    help: "Remove a service; what it was is no longer there to roll back to.",
    run: removeService,
  },
];
