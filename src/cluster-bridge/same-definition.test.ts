import { describe, expect, it } from "vitest";
import type { JsonObject } from "../oci/json.ts";
import { findDifference } from "./same-definition.ts";
import { toDefinition } from "./service-definition.ts";
import { parseServiceSpec } from "./service-spec.ts";

const spec = parseServiceSpec(
  Buffer.from(
    JSON.stringify({
      ...{ name: "web", image: "r/ops/web:1", replicas: 3, env: { A: "b" }, networks: ["front"] },
      ...{ ports: [{ target: 80, published: 8080, mode: "host" }], secrets: [{ source: "db" }] },
      mounts: [{ type: "volume", source: "data", target: "/data" }],
      ...{ limits: { cpus: 0.5, memoryBytes: 67_108_864 }, constraints: ["node.role==worker"], stopGrace: "30s" },
      health: { test: ["CMD", "/ok"], interval: "10s", timeout: "2s", retries: 3 },
    }),
  ),
);
const pinned = `r/ops/web@sha256:${"a".repeat(64)}`;
const ids = { networks: new Map([["front", "n1"]]), secrets: new Map([["db", "s1"]]), configs: new Map() };
const placement = { Constraints: ["node.role==worker"] };
const sent = toDefinition({ spec, pinned, ids, placement, labels: { "goldseal.environment": "prod" } });

/** As an engine answers it, changed. */
function held(change: (held: Record<string, never>) => void = () => undefined): JsonObject {
  const copy = structuredClone(sent) as unknown as Record<string, Record<string, unknown>>;
  Object.assign(copy.TaskTemplate as object, { ForceUpdate: 0, Runtime: "container" });
  Object.assign((copy.TaskTemplate as { ContainerSpec: object }).ContainerSpec, {
    Isolation: "default",
    DNSConfig: {},
  });
  Object.assign(copy.UpdateConfig as object, { MaxFailureRatio: 0 });
  change(copy as unknown as Record<string, never>);
  return copy as unknown as JsonObject;
}

const set =
  (...path: readonly string[]) =>
  (value: unknown) =>
  (target: object): void => {
    const inner = path.slice(0, -1).reduce<object>((at, step) => (at as Record<string, object>)[step] ?? {}, target);
    Object.assign(inner, { [path.at(-1) ?? ""]: value });
  };

describe("toDefinition", () => {
  it("says everything, with the image by its digest, and has the engine pause when an update fails", () => {
    expect(sent).toMatchObject({
      Name: "web",
      Labels: { "goldseal.environment": "prod" },
      TaskTemplate: {
        ContainerSpec: {
          ...{ Image: pinned, Env: ["A=b"], StopGracePeriod: 30e9 },
          Secrets: [{ File: { Name: "db", UID: "0", GID: "0", Mode: 0o444 }, SecretID: "s1", SecretName: "db" }],
          Healthcheck: { Test: ["CMD", "/ok"], Interval: 10e9, Timeout: 2e9, Retries: 3 },
        },
        Resources: { Limits: { NanoCPUs: 5e8, MemoryBytes: 67_108_864 }, Reservations: {} },
        Placement: { Constraints: ["node.role==worker"] },
        Networks: [{ Target: "n1" }],
      },
      Mode: { Replicated: { Replicas: 3 } },
      UpdateConfig: { FailureAction: "pause", Parallelism: 1, Monitor: 5e9, Order: "stop-first" },
      EndpointSpec: {
        Mode: "vip",
        Ports: [{ Protocol: "tcp", TargetPort: 80, PublishedPort: 8080, PublishMode: "host" }],
      },
    });
  });
});

const container = (name: string) => set("TaskTemplate", "ContainerSpec", name);

describe("findDifference", () => {
  it("is content with what was sent and the engine's own defaults", () => {
    expect(findDifference(sent, held())).toBeUndefined();
    expect(findDifference(sent, held(container("Command")(null)))).toBeUndefined();
    expect(findDifference(sent, held(container("Mounts")(sent.Mounts ?? [])))).toBe(
      "TaskTemplate.ContainerSpec.Mounts",
    );
  });

  it.each<[string, (target: object) => void, string]>([
    ["another image", container("Image")("r/ops/web:1"), "TaskTemplate.ContainerSpec.Image"],
    ["another command", container("Args")(["sh"]), "TaskTemplate.ContainerSpec.Args"],
    ["another entrypoint", container("Command")(["sh"]), "TaskTemplate.ContainerSpec.Command"],
    ["another user", container("User")("root"), "TaskTemplate.ContainerSpec.User"],
    ["a variable more", container("Env")(["A=b", "LD_PRELOAD=/x"]), "TaskTemplate.ContainerSpec.Env"],
    [
      "privileges",
      container("Privileges")({ SELinuxContext: { Disable: true } }),
      "TaskTemplate.ContainerSpec.Privileges",
    ],
    ["an init", container("Init")(true), "TaskTemplate.ContainerSpec.Init"],
    ["capabilities", container("CapabilityAdd")(["ALL"]), "TaskTemplate.ContainerSpec.CapabilityAdd"],
    ["a member nobody knows", set("TaskTemplate", "PluginSpec")({ Remote: "x" }), "TaskTemplate.PluginSpec"],
    ["another network", set("TaskTemplate", "Networks")([{ Target: "host" }]), "TaskTemplate.Networks.0.Target"],
    ["fewer replicas", set("Mode", "Replicated")({ Replicas: 2 }), "Mode.Replicated.Replicas"],
    ["a rollback by itself", set("UpdateConfig", "FailureAction")("rollback"), "UpdateConfig.FailureAction"],
    ["a label gone", set("Labels")({}), "Labels.goldseal.environment"],
  ])("finds %s", (_what, change, where) => {
    expect(findDifference(sent, held(change as never))).toBe(where);
  });
});
