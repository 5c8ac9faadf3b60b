import { once } from "node:events";
import type { IncomingMessage, OutgoingHttpHeaders } from "node:http";
import { request as httpsRequest } from "node:https";
import { rootCertificates, type SecureContextOptions } from "node:tls";
import { CliError } from "./errors.ts";

export interface Server {
  readonly url: URL;
  /** PEM of a CA to trust besides the well-known ones. */
  readonly ca: string | undefined;
}

export interface Outgoing {
  readonly method: string;
  /** With its query, from the root of the server. */
  readonly path: string;
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: string | Uint8Array | undefined;
}

const timeoutMs = 30_000;

/** Whose certificates their own CA does not vouch for. */
const withWellKnown = new WeakSet<Server>();
/** What a certificate is refused with whose issuer is not known. */
const STRANGER =
  /^(UNABLE_TO_GET_ISSUER_CERT|UNABLE_TO_GET_ISSUER_CERT_LOCALLY|UNABLE_TO_VERIFY_LEAF_SIGNATURE|SELF_SIGNED_CERT_IN_CHAIN|DEPTH_ZERO_SELF_SIGNED_CERT)$/;

/** One request; its answer, of which the head is there. Rejects with what the network said. */
export async function exchange(server: Server, outgoing: Outgoing): Promise<IncomingMessage> {
  const { url, ca } = server;
  if (ca === undefined) return send(url, outgoing, {});
  try {
    // More than a hundred well-known CAs take longer to read than all the rest of a command: only where the own one does not do.
    if (!withWellKnown.has(server)) return await send(url, outgoing, { ca });
  } catch (error) {
    // Nothing was sent to a stranger.
    if (!(error instanceof Error && "code" in error && STRANGER.test(String(error.code)))) throw error;
    withWellKnown.add(server);
  }
  return send(url, outgoing, { ca: [...rootCertificates, ca] });
}

async function send(
  url: URL,
  { method, path, headers = {}, body }: Outgoing,
  trust: Pick<SecureContextOptions, "ca">,
): Promise<IncomingMessage> {
  // Importing `node:http` loads all of `fetch` too: a tenth of what a command takes to start.
  const open = url.protocol === "https:" ? httpsRequest : (await import("node:http")).request;
  const request = open(new URL(path, url), { method, timeout: timeoutMs, headers, ...trust });
  request.on("timeout", () => request.destroy(new Error("no answer for 30 s")));
  // Once the answer has begun, whoever reads it is told.
  request.on("error", () => undefined);
  request.end(body);
  const [incoming]: IncomingMessage[] = await once(request, "response");
  if (incoming === undefined) throw new Error("no answer");
  return incoming;
}

/** @param maxBytes more is refused */
export async function readBody(incoming: IncomingMessage, maxBytes = Number.POSITIVE_INFINITY): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of incoming) {
    size += chunk.length;
    if (size > maxBytes) throw new Error(`an answer of more than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

export function basicAuth(name: string, password: string): string {
  return `Basic ${Buffer.from(`${name}:${password}`).toString("base64")}`;
}

/** What to do when nobody answers, or nobody that can be trusted. */
export function unreachable({ origin }: URL, cause: unknown): CliError {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  const why = cause instanceof Error ? cause.message : String(cause);
  const next =
    code === "ECONNREFUSED"
      ? "is it running (npm start)? Another address goes into --url"
      : /CERT|SIGNATURE|ISSUER/.test(code)
        ? "its certificate is not trusted here: name the CA with --ca <data folder>/ca.crt, and use a name that the certificate has"
        : "check --url and the network";
  return new CliError(`cannot talk to ${origin}: ${why}\n${next}`, { cause });
}
