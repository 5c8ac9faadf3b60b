import { MIB } from "../content.ts";
import { REPOSITORY } from "../lanes.ts";
import { pushFor } from "../loads/push.ts";
import type { Case } from "../measure.ts";

/** New blobs in docker's shape on 1 and 8 streams, fsync included on both sides. */
export const pushCases = (mebibytes: number): Case[] =>
  [1, 8].map((streams) => ({
    name: `blob push, ${streams} ${streams === 1 ? "stream" : "streams"}`,
    unit: "MiB/s",
    better: "higher" as const,
    lanes: ["peer", "token", "shipped"] as const,
    target: { lane: "token" as const, ratio: 1.5 },
    run: async ({ server, authorization }, seconds) => {
      const load = { server, authorization: await authorization(), repository: REPOSITORY, mebibytes, streams };
      const transfer = await pushFor({ ...load, seconds });
      return { value: transfer.bytes / MIB / transfer.seconds, operations: transfer.bytes / MIB };
    },
  }));
