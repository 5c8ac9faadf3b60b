import { Readable } from "node:stream";
import { S3Client } from "@aws-sdk/client-s3";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { openAgents } from "./s3-agents.ts";

/** Which bucket, and how long it may take to answer. Credentials come from the AWS environment. */
export interface S3Settings {
  readonly bucket: string;
  /** Without slashes at its ends; may be empty. */
  readonly prefix: string;
  readonly endpoint?: string;
  readonly region?: string;
  /** Seconds that one request may take; uploads get one more for each 8 MiB. */
  readonly timeoutSeconds: number;
}

const connectMs = 3_000;
/** The longest answer that is no object: a list of 1,000 entries takes less. */
const maxAnswerBytes = 2 * 1024 * 1024;

/** A client that asks once: when to ask again is decided by s3-calls.ts. */
export function openS3Client({ endpoint, region }: S3Settings): S3Client {
  const client = new S3Client({
    // A server of one's own rarely has a name for each bucket.
    ...(endpoint === undefined ? {} : { endpoint, forcePathStyle: true }),
    ...(region === undefined ? (endpoint === undefined ? {} : { region: "us-east-1" }) : { region }),
    maxAttempts: 1,
    // To ask whether a part may be sent, the client would open a connection for each part and wait for the answer.
    expectContinueHeader: false,
    // We send the checksum of what we have in hand; the ones that the client would add by itself cost a second pass.
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    requestHandler: new BoundedHandler({
      connectionTimeout: connectMs,
      // Deadlines are s3-calls.ts's; a pull whose client reads nothing for a while keeps its connection.
      socketTimeout: 0,
      ...openAgents(),
    }),
  });
  client.middlewareStack.add(
    (next) => (args) => {
      const { request } = args;
      // CRC-32 guards the bytes: hashing them once more for the signature would cost more than sending them.
      if (isHttpRequest(request) && request.method === "PUT") request.headers["x-amz-content-sha256"] ??= UNSIGNED;
      return next(args);
    },
    { step: "build", name: "unsignedPayload" },
  );
  return client;
}

const UNSIGNED = "UNSIGNED-PAYLOAD";

function isHttpRequest(value: unknown): value is { method: string; headers: Record<string, string> } {
  return typeof value === "object" && value !== null && "method" in value && "headers" in value;
}

type Handle = NodeHttpHandler["handle"];

/** Reads every answer but an object's bytes itself, up to a limit: a hostile or broken server must not fill memory. */
class BoundedHandler extends NodeHttpHandler {
  override async handle(...[request, options]: Parameters<Handle>): ReturnType<Handle> {
    const handled = await super.handle(request, options);
    const { response } = handled;
    const isObject = request.query["x-id"] === "GetObject" && response.statusCode < 300;
    if (!isObject && response.body instanceof Readable) {
      const whole = await readBounded(response.body);
      response.body = Readable.from(whole.length === 0 ? [] : [whole]);
    }
    return handled;
  }
}

async function readBounded(body: Readable): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of body) {
    size += piece.length;
    if (size > maxAnswerBytes) throw new Error(`the S3 server's answer is longer than ${maxAnswerBytes} bytes`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}
