import type { Lab } from "./lab.ts";

/** A policy of ops with one row: somebody of team gold. */
export const goldPolicy = (repository: string, rest: object = {}) => ({
  repositories: [repository],
  mode: "enforce",
  require: [{ team: "gold", k: 1 }],
  ...rest,
});

export const putPolicy = (lab: Lab, name: string, body: object, org = "ops") =>
  lab.must("PUT", `orgs/${org}/policies/${name}`, body);
