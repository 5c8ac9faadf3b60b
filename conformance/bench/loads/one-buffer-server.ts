/** A thread that answers whatever is asked with 256 MiB of one buffer: what the client can take when the server is free. */
import { createServer } from "node:net";
import { parentPort } from "node:worker_threads";
import { BLOCK, MIB } from "../content.ts";

const BODY_MIB = 256;

const server = createServer({ noDelay: true }, (socket) => {
  socket.on("error", () => undefined);
  socket.on("data", () => {
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${BODY_MIB * MIB}\r\n\r\n`);
    let left = BODY_MIB;
    const next = (): void => {
      if (left-- > 0) socket.write(BLOCK, next);
    };
    next();
  });
});
server.listen(0, "127.0.0.1", () => parentPort?.postMessage(server.address()));
