import type { Config } from "../config.ts";

/** What `openApp` needs, see src/app.ts; crosses to the workers as JSON. */
export interface ServeSettings {
  readonly config: Config;
  readonly publicUrl: string;
  readonly databaseUrl: string;
  readonly masterKeys: string;
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
