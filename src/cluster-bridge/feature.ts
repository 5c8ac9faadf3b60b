import type { Route } from "../http/route.ts";
import type { ActionTable } from "./actions.ts";
import type { Core } from "./core.ts";

/** One thing that the bridge can do, complete with all that it needs; features.ts lists them. */
export interface Feature {
  /** Changes, each by a signed order. */
  readonly actions?: ActionTable;
  /** Reads, and whatever else has a path of its own. */
  readonly routes?: readonly Route[];
  /** Once, when the bridge listens: what goes on by itself. A throw is logged, and the bridge goes on without it. */
  readonly start?: () => Promise<void>;
  /** Ends what goes on by itself; the core's parts are still open. */
  readonly close?: () => Promise<void>;
  /** Why it could not work now, a sentence each; for `/readyz`. */
  readonly findFaults?: () => Promise<readonly string[]>;
}

export type OpenFeature = (core: Core) => Feature | Promise<Feature>;
