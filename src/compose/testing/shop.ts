/** Compose files of a stack `shop`, with files beside them and variables that are set. */
import { ComposeError } from "../error.ts";
import { toStack } from "../stack-text.ts";

const FILES: Readonly<Record<string, string>> = {
  "./key.txt": "s3cret",
  "web.env": '# no\nA=1\nQUOTED="x"\nFROM_ME\n\nUNSET\n',
};
const SET: Readonly<Record<string, string>> = { FROM_ME: "mine", TAG: "7", EMPTY: "" };

const read = (path: string): Buffer => {
  const text = FILES[path];
  if (text === undefined) throw new Error("ENOENT");
  return Buffer.from(text);
};
const deployment = { name: "shop", variables: (name: string) => SET[name], read };
export const make = (text: string) => toStack(text, deployment);
/** Of one service `web` with an image. */
export const web = (lines: string): Record<string, unknown> => {
  const { services } = make(`services:\n  web:\n    image: r/a/b:1\n${indent(lines, 4)}\n`).stack as never as {
    services: { web: Record<string, unknown> };
  };
  const { image: _, networks, ...rest } = services.web;
  if (String(networks) !== "default") throw new Error(`it is on ${networks}`);
  return rest;
};
const indent = (text: string, by: number): string => text.replaceAll(/^(?=.)/gm, " ".repeat(by));

export function faultsOf(text: string): readonly string[] {
  try {
    make(text);
    return [];
  } catch (error) {
    if (error instanceof ComposeError) return error.faults;
    throw error;
  }
}
export const faultsOfWeb = (lines: string) => faultsOf(`services:\n  web:\n    image: r/a/b:1\n${indent(lines, 4)}\n`);
