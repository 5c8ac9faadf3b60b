/** Pushers and pullers that run until told to stop, and remember every image that was acknowledged. */
import { randomUUID } from "node:crypto";
import { RegistryClient } from "../harness/registry-client.ts";
import { checkImage, type Image, makeImage, pushImage } from "./image.ts";
import { ADMIN, ORGANIZATION } from "./world.ts";

const LAYER_BYTES = 200_000;

export interface Acknowledged {
  readonly repository: string;
  readonly tag: string;
  readonly image: Image;
}

export interface Load {
  readonly pushed: readonly Acknowledged[];
  pulls(): number;
  /** What went wrong, in the order it did. A pusher goes on after it. */
  readonly errors: readonly string[];
  stop(): Promise<void>;
}

export interface LoadOptions {
  readonly pushers: number;
  readonly pullers: number;
}

/** Each with connections of its own, as separate programs have. */
export function startLoad(server: { url: string; caPath: string }, { pushers, pullers }: LoadOptions): Load {
  const pushed: Acknowledged[] = [];
  const errors: string[] = [];
  let pulls = 0;
  let stopping = false;

  const repeat = async (turn: (client: RegistryClient) => Promise<void>): Promise<void> => {
    const client = new RegistryClient(server, ADMIN);
    while (!stopping) {
      await turn(client).catch(async (error: unknown) => {
        errors.push(String(error));
        // A server that is away refuses thousands of times a second.
        await new Promise((resolve) => setTimeout(resolve, 50));
      });
    }
    client.close();
  };
  const push = async (client: RegistryClient): Promise<void> => {
    const image = makeImage(LAYER_BYTES);
    const place = { repository: `${ORGANIZATION}/load`, tag: randomUUID() };
    await pushImage(client, place.repository, place.tag, image);
    pushed.push({ ...place, image });
  };
  const pull = async (client: RegistryClient): Promise<void> => {
    const known = pushed[Math.floor(Math.random() * pushed.length)];
    if (!known) return new Promise((resolve) => setTimeout(resolve, 20));
    await checkImage(client, known.repository, known.tag, known.image);
    pulls++;
  };
  const running = [
    ...Array.from({ length: pushers }, () => repeat(push)),
    ...Array.from({ length: pullers }, () => repeat(pull)),
  ];
  return {
    ...{ pushed, errors },
    pulls: () => pulls,
    stop: async () => {
      stopping = true;
      await Promise.all(running);
    },
  };
}

/** @throws Error unless every image that was acknowledged is there, byte for byte */
export async function checkAll(client: RegistryClient, { pushed }: Load): Promise<void> {
  for (const { repository, tag, image } of pushed) await checkImage(client, repository, tag, image);
}
