import type { Request } from "../http/request.ts";
import type { JsonObject } from "../oci/json.ts";
import type { BridgeClient } from "./bridge-client.ts";

/** Something of the cluster that was done or refused, for the record. */
export interface Deed {
  readonly action: string;
  readonly target: string;
  readonly detail: JsonObject;
}

export interface RelayDeps {
  /** Undefined: this installation has none. */
  readonly bridge: Bridge | undefined;
  readonly noteDone: (request: Request, deed: Deed) => void;
  /** Returns the decision id. */
  readonly noteRefused: (request: Request, deed: Deed) => string;
  /** The protocol's. */
  readonly notFound: () => Error;
}

export interface Bridge {
  readonly client: BridgeClient;
  /** By which the bridge believes who looks; undefined: it shows nothing. */
  readonly secret: string | undefined;
}
