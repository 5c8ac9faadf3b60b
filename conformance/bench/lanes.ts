import { bearer, Client } from "./client.ts";
import type { Server } from "./servers.ts";

export const REPOSITORY = "admin/bench";

/** A server together with the way a client signs in: one column of the table. */
export interface Lane {
  readonly name: LaneName;
  readonly title: string;
  readonly server: Server;
  /** The `Authorization` header to send, fresh enough for one run; undefined for none. */
  authorization(): Promise<string | undefined>;
}

export type LaneName = "peer" | "anonymous" | "token" | "shipped";

export interface Servers {
  readonly peer: Server;
  readonly plain: Server;
  readonly shipped: Server;
}

export function lanesOf({ peer, plain, shipped }: Servers): Lane[] {
  const nobody = async () => undefined;
  return [
    { name: "peer", title: "docker-registry 2.8, no auth", server: peer, authorization: nobody },
    { name: "anonymous", title: "goldseal, anonymous", server: plain, authorization: nobody },
    { name: "token", title: "goldseal, bearer token", server: plain, authorization: () => tokenOf(plain) },
    {
      name: "shipped",
      title: "goldseal as it ships: TLS, token",
      server: shipped,
      authorization: () => tokenOf(shipped),
    },
  ];
}

async function tokenOf(server: Server): Promise<string> {
  const client = new Client(server);
  try {
    return await bearer(client, REPOSITORY);
  } finally {
    client.close();
  }
}
