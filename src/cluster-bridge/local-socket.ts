import { once } from "node:events";
import { connect } from "node:net";

/** Whether a process listens on the socket; its name may be left behind by one that was killed. */
export async function isAnswered(path: string): Promise<boolean> {
  const socket = connect(path);
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
