import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { Socket } from "node:net";

/**
 * What comes off any socket lands here first. One buffer serves all: Node's HTTP parser takes a copy of the body before it
 * returns. Left to itself Node makes a buffer for each 64 KiB and copies it all the same, which is a third of what it costs
 * to stream a blob through.
 */
const landing = Buffer.allocUnsafeSlow(256 * 1024);

/** `highWaterMark`: what a pull reads ahead of its client; the default has the socket stop and start all the time. */
const OPTIONS = { keepAlive: true, maxSockets: 1024, highWaterMark: 256 * 1024 };

type CreateConnection = HttpAgent["createConnection"];

/** @see net.connect, option `onread`: the socket then has no data of its own, but pauses and ends as ever */
function landingAt(create: CreateConnection): CreateConnection {
  return (options, callback) => {
    const onread = {
      buffer: landing,
      callback: (size: number): boolean => {
        if (connection instanceof Socket) connection.emit("data", landing.subarray(0, size));
        return true;
      },
    };
    const withBuffer = { ...options, onread };
    const connection = create(withBuffer, callback);
    return connection;
  };
}

class LandingHttpAgent extends HttpAgent {
  override createConnection: CreateConnection = landingAt((...args) => super.createConnection(...args));
}

class LandingHttpsAgent extends HttpsAgent {
  override createConnection: CreateConnection = landingAt((...args) => super.createConnection(...args));
}

/** For one client of the bucket. */
export const openAgents = () => ({
  httpAgent: new LandingHttpAgent(OPTIONS),
  httpsAgent: new LandingHttpsAgent(OPTIONS),
});
