import type { Server } from "../servers.ts";
import { connect, parseHead, requestHead } from "./connection.ts";
import type { Rate } from "./rate.ts";
import type { RequestLoad } from "./wrk.ts";

/** HEAD requests as fast as the server answers. (wrk waits for the body that an answer to HEAD announces.) */
export async function headFor({ server, headers, path, connections, seconds }: RequestLoad): Promise<Rate> {
  const request = requestHead("HEAD", path, headers);
  const latencies: number[] = [];
  const failure = Promise.withResolvers<never>();
  const sockets = await Promise.all(
    Array.from({ length: connections }, () => openLoop(server, request, latencies, failure.reject)),
  );
  const started = performance.now();
  for (const { begin } of sockets) begin();
  await Promise.race([new Promise((resolve) => setTimeout(resolve, seconds * 1000)), failure.promise]);
  const took = (performance.now() - started) / 1000;
  for (const { socket } of sockets) socket.destroy();
  const sorted = Float64Array.from(latencies).sort();
  const at = (share: number) => Math.round((sorted[Math.floor(sorted.length * share)] ?? 0) * 1000);
  return { perSecond: sorted.length / took, requests: sorted.length, p50: at(0.5), p99: at(0.99) };
}

async function openLoop(server: Server, request: string, latencies: number[], fail: (error: Error) => void) {
  let asked = 0;
  const begin = () => {
    asked = performance.now();
    socket.write(request);
  };
  const socket = await connect(server, (bytes) => {
    // One request is under way and its answer is one small packet.
    const head = parseHead(bytes);
    if (head?.status !== 200) return fail(new Error(`HEAD was answered ${head?.text ?? bytes.toString()}`));
    latencies.push(performance.now() - asked);
    begin();
  });
  socket.once("close", () => fail(new Error(`${server.kind} closed a connection`)));
  return { socket, begin };
}
