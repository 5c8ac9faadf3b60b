import { MIB } from "../content.ts";
import { REPOSITORY } from "../lanes.ts";
import { pullFor } from "../loads/pull.ts";
import type { Case } from "../measure.ts";
import type { Seed } from "../seed.ts";
import { requests } from "./manifests.ts";

export const STREAMS = [1, 8, 64];

/** Large blobs on 1, 8 and 64 streams, page cache warm; 4 KiB blobs on 1 and 32 connections. */
export const pullCases = (seed: Seed): Case[] => [
  ...STREAMS.map((streams) => bigPull(seed, streams)),
  ...[1, 32].map((connections) => smallPull(seed, connections)),
];

function bigPull({ bigBlobs }: Seed, streams: number): Case {
  const paths = bigBlobs.map((digest) => `/v2/${REPOSITORY}/blobs/${digest}`);
  return {
    name: `blob pull, ${streams} ${streams === 1 ? "stream" : "streams"}`,
    unit: "MiB/s",
    better: "higher",
    lanes: ["peer", "anonymous", "token", "shipped"],
    target: { lane: "token", ratio: 1 },
    run: async ({ server, authorization }, seconds) => {
      const transfer = await pullFor({ server, authorization: await authorization(), paths, streams, seconds });
      const mebibytes = transfer.bytes / MIB;
      return { value: mebibytes / transfer.seconds, operations: mebibytes };
    },
  };
}

function smallPull({ smallBlobs }: Seed, connections: number): Case {
  return {
    name: `blob pull of 4 KiB, ${connections} conn`,
    unit: "req/s",
    better: "higher",
    lanes: ["peer", "anonymous", "token", "shipped"],
    run: (lane, seconds) => requests(lane, "GET", `/v2/${REPOSITORY}/blobs/${smallBlobs[0]}`, connections, seconds),
  };
}
