import type { Config } from "../config.ts";

/** What `openApp` needs, see src/app.ts; crosses to the workers as JSON. */
export interface ServeSettings {
  readonly config: Config;
  readonly publicUrl: string;
  readonly databaseUrl: string;
  readonly masterKeys: string;
  readonly s3Checksums?: boolean;
}

export interface Address {
  readonly host: string;
  readonly port: number;
  readonly tls?: { readonly cert: string; readonly key: string };
}

/** Primary to worker: open the app, then take connections, then stop. */
export type Order =
  | { readonly type: "open"; readonly settings: ServeSettings }
  | { readonly type: "listen"; readonly address: Address }
  | { readonly type: "stop"; readonly drainMs: number };

/** Worker to primary: what became of an order. */
export type Answer =
  | { readonly type: "opened" }
  | { readonly type: "listening"; readonly port: number }
  | { readonly type: "failed"; readonly message: string };

/** One worker's figures, as prom-client lists them; only that library looks inside. */
export type Figures = readonly object[];

/**
 * `/metrics` is asked of one worker and answered for all: it asks the primary (`gather`), who asks each (`report`),
 * collects (`figures`) and hands them to the one who asked (`gathered`).
 */
export type FiguresToPrimary =
  | { readonly type: "gather"; readonly id: number }
  | { readonly type: "figures"; readonly id: number; readonly figures: Figures };
export type FiguresToWorker =
  | { readonly type: "report"; readonly id: number }
  | { readonly type: "gathered"; readonly id: number; readonly all: readonly Figures[] };
