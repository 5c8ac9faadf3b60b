import type { ClientRequest, IncomingMessage, OutgoingHttpHeaders } from "node:http";
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { bridgeAway, bridgeSilent } from "./errors.ts";

export interface BridgeClientOptions {
  /** `http://127.0.0.1:5444`, or https anywhere. */
  readonly url: string;
  /** PEM: the only CA that counts. */
  readonly ca: string | undefined;
}

export interface Asked {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly headers: OutgoingHttpHeaders;
  readonly body: Uint8Array | undefined;
}

/** It says every 10 s that it goes on. */
const SILENCE_MS = 60_000;

/** The bridge's HTTP, as it is: what it answers is the caller's to look at. */
export class BridgeClient {
  readonly #options: BridgeClientOptions;
  readonly #open = new Set<ClientRequest>();

  constructor(options: BridgeClientOptions) {
    this.#options = options;
  }

  /** The head of the answer; its body is still to be read, and ends with an error where the bridge fell silent. @throws ProblemError bridge-away, bridge-silent */
  ask({ method, path, headers, body }: Asked): Promise<IncomingMessage> {
    const { url, ca } = this.#options;
    const send = url.startsWith("https:") ? httpsRequest : httpRequest;
    const length = body === undefined ? {} : { "content-length": body.length };
    // No connection is kept: on one that the bridge just closed nobody could tell whether it was asked.
    const request = send(new URL(path, url), {
      ...{ method, headers: { ...headers, ...length }, timeout: SILENCE_MS, agent: false },
      ...(ca === undefined ? {} : { ca }),
    });
    this.#open.add(request);
    request.once("close", () => this.#open.delete(request));
    request.once("timeout", () => request.destroy(new Error("nothing for 60 s")));
    let isConnected = false;
    request.once("socket", (socket) =>
      socket.once(url.startsWith("https:") ? "secureConnect" : "connect", () => {
        isConnected = true;
      }),
    );
    return new Promise((resolve, reject) => {
      request.once("response", resolve);
      // After the answer began, its reader is told.
      request.on("error", ({ message }) => reject(isConnected ? bridgeSilent(message) : bridgeAway(message)));
      request.end(body);
    });
  }

  /** Lets go of what still runs; the bridge goes on with it. */
  close(): void {
    for (const request of this.#open) request.destroy();
  }
}
