import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createTls } from "node:https";
export interface Listener {
  port: number;
  drain(deadlineMs: number): Promise<void>;
}
export async function listen(
  handler: (req: IncomingMessage, res: ServerResponse) => void,
  options: { host: string; port: number; tls?: { cert: string; key: string } },
): Promise<Listener> {
  const server = options.tls ? createTls(options.tls, handler) : createServer(handler);
  await new Promise<void>((done, fail) => {
    server.once("error", fail);
    server.listen(options.port, options.host, done);
  });
  const address = server.address();
  return {
    port: typeof address === "object" && address ? address.port : 0,
    drain: (deadlineMs) =>
      new Promise((done) => {
        server.close(() => done());
        server.closeIdleConnections();
        setTimeout(() => server.closeAllConnections(), deadlineMs).unref();
      }),
  };
}
