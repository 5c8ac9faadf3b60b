import { once } from "node:events";
import { BLOCK, MIB, newBigBlob, sha256 } from "../content.ts";
import type { Server } from "../servers.ts";
import { type Connection, openConnection } from "./exchange.ts";

export interface PushLoad {
  readonly server: Server;
  readonly authorization: string | undefined;
  readonly repository: string;
  readonly mebibytes: number;
  readonly streams: number;
  readonly seconds: number;
}

export interface Transfer {
  readonly bytes: number;
  readonly seconds: number;
}

/** Pushes one new blob after the other on each stream; none begins after the time is over, and all are finished. */
export async function pushFor(load: PushLoad): Promise<Transfer> {
  newBigBlob(load.mebibytes); // hashes what all blobs of this size have in common, before the clock runs
  const started = performance.now();
  const until = started + load.seconds * 1000;
  let bytes = 0;
  const stream = async (): Promise<void> => {
    const connection = await openConnection(load.server, load.authorization);
    do {
      await pushBlob(connection, load);
      bytes += load.mebibytes * MIB;
    } while (performance.now() < until);
    connection.close();
  };
  await Promise.all(Array.from({ length: load.streams }, stream));
  return { bytes, seconds: (performance.now() - started) / 1000 };
}

/** As docker does it: POST, one PATCH with everything (chunked: its length is not known before), PUT without a body. */
export async function pushBlob(
  connection: Connection,
  { repository, mebibytes }: Pick<PushLoad, "repository" | "mebibytes">,
): Promise<string> {
  const { digest, lastBlock } = newBigBlob(mebibytes);
  const upload = await connection.ask("POST", `/v2/${repository}/blobs/uploads/`, 202);
  const next = await connection.ask("PATCH", upload, 202, async (socket) => {
    for (let i = 1; i < mebibytes; i++) if (!socket.write(FRAMED)) await once(socket, "drain");
    socket.write(framed(lastBlock));
    socket.write("0\r\n\r\n");
  });
  await connection.ask("PUT", `${next}${next.includes("?") ? "&" : "?"}digest=${digest}`, 201);
  return digest;
}

/** The same with these bytes. */
export async function pushBytes(connection: Connection, repository: string, bytes: Buffer): Promise<string> {
  const upload = await connection.ask("POST", `/v2/${repository}/blobs/uploads/`, 202);
  const next = await connection.ask("PATCH", upload, 202, async (socket) => {
    socket.write(framed(bytes));
    socket.write("0\r\n\r\n");
  });
  const digest = sha256(bytes);
  await connection.ask("PUT", `${next}${next.includes("?") ? "&" : "?"}digest=${digest}`, 201);
  return digest;
}

/** Go's clients copy, and so send, 32 KiB at a time. */
const frameBytes = 32 * 1024;
const FRAMED = framed(BLOCK);

function framed(block: Buffer): Buffer {
  const pieces: Buffer[] = [];
  for (let at = 0; at < block.length; at += frameBytes) {
    const frame = block.subarray(at, at + frameBytes);
    pieces.push(Buffer.from(`${frame.length.toString(16)}\r\n`), frame, Buffer.from("\r\n"));
  }
  return Buffer.concat(pieces);
}
