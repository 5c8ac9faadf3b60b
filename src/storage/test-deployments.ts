import { expect } from "vitest";
import type { Place } from "../testing/images.ts";
import { useCollector } from "./gc/test-collector.ts";

interface Wish {
  readonly place: Place;
  readonly digest: string;
  readonly service?: string;
  readonly environment?: string;
  readonly state?: string;
}

/** For every test of a file: a server that is told what a cluster runs, and whose garbage is collected when the test says so. */
export function useDeployments() {
  const collector = useCollector();
  const { app } = collector;

  const put = (deployed: readonly object[], as = "admin") =>
    app().ask("PUT", "/api/v1/cluster-agent/digests", { as, body: JSON.stringify({ deployed }) });
  const entry = ({ place, digest, service = "web", environment = "prod", state = "running" }: Wish) => {
    return { environment, service, repository: place.repository, digest, state };
  };
  async function deploy(...wishes: readonly Wish[]): Promise<unknown> {
    const answer = await put(wishes.map(entry));
    expect(answer.status).toBe(200);
    return JSON.parse(answer.body.toString());
  }
  const remove = async (path: string, as = "alice") => {
    const answer = await app().ask("DELETE", path, { as });
    const { errors, ...problem } = answer.body.length === 0 ? {} : JSON.parse(answer.body.toString());
    return { status: answer.status, ...(errors?.[0] ?? problem) };
  };
  /** As if the bridge had been silent for too long. */
  const endLease = () =>
    app().database.query("", "update pins set until = now(); update deployments set until = now()");
  async function history(digest: string): Promise<{ kind: string; detail: { where: string; until: string | null } }[]> {
    const { body } = await app().ask("GET", `/api/v1/history?digest=${digest}`, { as: "alice" });
    return JSON.parse(body.toString()).history;
  }

  return { ...collector, put, entry, deploy, remove, endLease, history };
}
