import { type Lane, REPOSITORY } from "../lanes.ts";
import { headFor } from "../loads/head.ts";
import { wrk } from "../loads/wrk.ts";
import type { Case, Sample } from "../measure.ts";
import type { Seed } from "../seed.ts";

const ACCEPT = "application/vnd.oci.image.manifest.v1+json";

/** GET by tag, GET by digest and HEAD by tag, with 1 and with 32 connections. */
export function manifestCases({ manifest }: Seed): Case[] {
  return [1, 32].flatMap((connections) => [
    {
      ...requestCase("GET", "latest", `manifest GET by tag, ${connections} conn`, connections),
      ...(connections === 32 ? { target: { lane: "token" as const, ratio: 10 } } : {}),
    },
    requestCase("GET", manifest, `manifest GET by digest, ${connections} conn`, connections),
    requestCase("HEAD", "latest", `manifest HEAD by tag, ${connections} conn`, connections),
  ]);
}

function requestCase(method: "GET" | "HEAD", reference: string, name: string, connections: number): Case {
  return {
    name,
    unit: "req/s",
    better: "higher",
    lanes: ["peer", "anonymous", "token", "shipped"],
    run: (lane, seconds) => requests(lane, method, `/v2/${REPOSITORY}/manifests/${reference}`, connections, seconds),
  };
}

export async function requests(
  { server, authorization }: Lane,
  method: "GET" | "HEAD",
  path: string,
  connections: number,
  seconds: number,
): Promise<Sample> {
  const headers = { Accept: ACCEPT, Authorization: await authorization() };
  const load = method === "HEAD" ? headFor : wrk;
  const rate = await load({ server, headers, path, connections, seconds });
  return { value: rate.perSecond, operations: rate.requests, p50: rate.p50 / 1000, p99: rate.p99 / 1000 };
}
