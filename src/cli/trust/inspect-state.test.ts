import { describe, expect, it } from "vitest";
import { HOST, pushImage, useTrustLab } from "./testing/trust-lab.ts";

const lab = useTrustLab();

describe("goldseal trust inspect IMAGE:TAG", () => {
  it("says whether the tag is what was signed, as the REST API says it", async () => {
    const [repository, image] = ["alice/inspected", `${HOST}/alice/inspected`];
    const push = (tag: string, content?: string) =>
      pushImage({ app: lab.app(), as: "alice", repository }, tag, content);
    const alice = lab.openMachine("alice");
    const first = await push("1");
    await alice.goldseal(`trust init ${image}`);
    const states = async (): Promise<unknown[]> => {
      const { out } = await alice.goldseal(`trust inspect ${image}:1 --json`);
      const { state, inRegistry } = JSON.parse(out);
      const path = "/api/v1/orgs/alice/repositories/inspected/tags/1/trust";
      const { body } = await lab.app().ask("GET", path, { as: "alice" });
      expect(JSON.parse(body.toString())).toMatchObject({ state, digest: inRegistry });
      return [state, inRegistry];
    };

    const unsigned = await states();
    await alice.goldseal(`trust sign ${image}:1`);
    const signed = await states();
    const second = await push("1", "another");
    const outdated = await states();
    const { out } = await alice.goldseal(`trust inspect ${image}:1`);
    await lab.app().ask("DELETE", `/v2/${repository}/manifests/1`, { as: "admin" });

    expect([unsigned, signed, outdated, await states()]).toEqual([
      ["unsigned", first],
      ["signed", first],
      ["outdated", second],
      ["dangling", null],
    ]);
    expect(out).toContain(`\noutdated: the registry has ${second}\n`);
  });
});
