import { describe, expect, it } from "vitest";
import { findDifference } from "./same-definition.ts";
import { toDefinition } from "./service-definition.ts";
import { parseServiceSpec } from "./service-spec.ts";

const ids = { networks: new Map([["shop_front", "n1"]]), secrets: new Map(), configs: new Map() };
const define = (more: object, stack?: string) => {
  const spec = parseServiceSpec(Buffer.from(JSON.stringify({ name: "shop_web", image: "r/ops/web:1", ...more })));
  return toDefinition({ spec, pinned: "r/ops/web@sha256:a", ids, labels: {}, placement: {}, stack });
};
const containerOf = (more: object) =>
  (define(more) as { TaskTemplate: { ContainerSpec: Record<string, unknown> } }).TaskTemplate.ContainerSpec;

describe("toDefinition", () => {
  it.each<[string, object, object]>([
    ["an init", { init: true }, { Init: true }],
    ["no init, where the engine has one", { init: false }, { Init: false }],
    ["a signal to stop", { stopSignal: "SIGINT" }, { StopSignal: "SIGINT" }],
    ["a terminal", { tty: true, openStdin: true }, { TTY: true, OpenStdin: true }],
    ["hosts", { hosts: ["db:10.0.0.1", "six:::1"] }, { Hosts: ["10.0.0.1 db", "::1 six"] }],
    [
      "names",
      { dns: { servers: ["10.0.0.2"], search: ["a.test"] } },
      { DNSConfig: { Nameservers: ["10.0.0.2"], Search: ["a.test"], Options: [] } },
    ],
    ["sysctls", { sysctls: { "net.core.somaxconn": "9" } }, { Sysctls: { "net.core.somaxconn": "9" } }],
    ["ulimits", { ulimits: { nofile: { soft: 1, hard: 2 } } }, { Ulimits: [{ Name: "nofile", Soft: 1, Hard: 2 }] }],
    [
      "the image's own health check at another pace",
      { health: { interval: "500ms", startPeriod: "1m" } },
      { Healthcheck: { Interval: 500e6, StartPeriod: 60e9 } },
    ],
    [
      "a volume of a driver, with labels, empty at first",
      { mounts: [{ type: "volume", source: "v", target: "/v", driver: "nfs", labels: { a: "b" }, noCopy: true }] },
      {
        Mounts: [
          {
            ...{ Type: "volume", Source: "v", Target: "/v", ReadOnly: false },
            VolumeOptions: { Labels: { a: "b" }, NoCopy: true, DriverConfig: { Name: "nfs" } },
          },
        ],
      },
    ],
    [
      "a tmpfs",
      { mounts: [{ type: "tmpfs", target: "/t", sizeBytes: 9, mode: 0o1777 }] },
      { Mounts: [{ Type: "tmpfs", Target: "/t", TmpfsOptions: { SizeBytes: 9, Mode: 0o1777 } }] },
    ],
  ])("says %s in the engine's words", (_what, more, expected) => {
    const plain = containerOf({});

    expect(containerOf(more)).toEqual({ ...plain, ...expected });
  });

  it("says restarts, logs, resources and updates in the engine's words", () => {
    const definition = define({
      restart: { condition: "on-failure", delay: "0s", maxAttempts: 3, window: "2m" },
      logging: { driver: "json-file", options: { "max-size": "1m" } },
      limits: { cpus: 0.5, pids: 9 },
      reservations: { memoryBytes: 16_777_216, generic: [{ kind: "gpu", value: 2 }] },
      update: { maxFailureRatio: 0.2, monitor: "1500ms" },
    });

    expect(definition).toMatchObject({
      TaskTemplate: {
        RestartPolicy: { Condition: "on-failure", Delay: 0, MaxAttempts: 3, Window: 120e9 },
        LogDriver: { Name: "json-file", Options: { "max-size": "1m" } },
        Resources: {
          Limits: { NanoCPUs: 5e8, Pids: 9 },
          Reservations: {
            MemoryBytes: 16_777_216,
            GenericResources: [{ DiscreteResourceSpec: { Kind: "gpu", Value: 2 } }],
          },
        },
      },
      UpdateConfig: { FailureAction: "pause", MaxFailureRatio: 0.2, Monitor: 1.5e9 },
    });
  });

  it("labels what is a stack's, volumes too, and names it in its networks", () => {
    const more = {
      networks: ["shop_front"],
      networkAliases: { shop_front: ["www", "web"] },
      mounts: [
        { type: "volume", source: "shop_v", target: "/v", labels: {} },
        { type: "volume", source: "theirs", target: "/w" },
      ],
    };

    expect(define(more, "shop")).toMatchObject({
      Labels: { "com.docker.stack.namespace": "shop", "com.docker.stack.image": "r/ops/web:1" },
      TaskTemplate: {
        Networks: [{ Target: "n1", Aliases: ["www", "web"] }],
        ContainerSpec: {
          Labels: { "com.docker.stack.namespace": "shop" },
          Mounts: [
            { VolumeOptions: { Labels: { "com.docker.stack.namespace": "shop" } } },
            { Type: "volume", Source: "theirs", Target: "/w", ReadOnly: false },
          ],
        },
      },
    });
  });

  it("labels volumes that have a name, and no others", () => {
    const spec = parseServiceSpec(
      Buffer.from(
        JSON.stringify({
          ...{ name: "web", image: "r/ops/web:1" },
          mounts: [
            { type: "volume", source: "data", target: "/data", labels: { tier: "gold" } },
            { type: "volume", source: "more", target: "/more" },
            { type: "volume", target: "/cache" },
            { type: "tmpfs", target: "/tmp" },
          ],
        }),
      ),
    );
    const [labels, volumeLabels] = [{}, { "goldseal.environment": "prod" }];
    const definition = toDefinition({ spec, pinned: "r/ops/web@sha256:a", ids, labels, volumeLabels, placement: {} });

    expect(definition).toMatchObject({
      TaskTemplate: {
        ContainerSpec: {
          Mounts: [
            { VolumeOptions: { Labels: { tier: "gold", "goldseal.environment": "prod" } } },
            { VolumeOptions: { Labels: { "goldseal.environment": "prod" } } },
            { Type: "volume", Target: "/cache", ReadOnly: false },
            { Type: "tmpfs", Target: "/tmp" },
          ],
        },
      },
    });
  });

  it("gives a network that is called as what every object has no aliases but its own", () => {
    const definition = define({ networks: ["constructor"] }) as { TaskTemplate: { Networks: object[] } };

    expect(definition.TaskTemplate.Networks).toEqual([{ Target: "" }]);
  });

  it("is what the engine holds, with the restart policy's own defaults said", () => {
    const sent = define({ restart: { condition: "any" } });
    const held = JSON.parse(JSON.stringify(sent));
    held.TaskTemplate.RestartPolicy = { Condition: "any", Delay: 5e9, MaxAttempts: 0 };

    expect(findDifference(sent, held)).toBeUndefined();
    held.TaskTemplate.RestartPolicy.Condition = "none";
    expect(findDifference(sent, held)).toBe("TaskTemplate.RestartPolicy.Condition");
  });
});
