// For tests: the whole of `goldseal doctor`, with all that it looks with.
import { findBridgeMistakes } from "../../bridge.ts";
import * as prepare from "../../prepare.ts";
import { checkUp } from "../checkup.ts";
import type { Finding } from "../doctor.ts";

export function look(data: string, env: Record<string, string> = {}, now = new Date()): Promise<Finding[]> {
  const all = { GOLDSEAL_DATA: data, GOLDSEAL_LISTEN: "127.0.0.1:0", ...env };
  return checkUp({ env: all, now, ...prepare, findBridgeMistakes });
}

export const bad = (findings: readonly Finding[]) => findings.filter(({ verdict }) => verdict !== "ok");
