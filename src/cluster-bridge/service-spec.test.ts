import { describe, expect, it } from "vitest";
import { parseServiceSpec } from "./service-spec.ts";
import { requireWithin } from "./spec-limits.ts";

const parse = (more: object) =>
  parseServiceSpec(Buffer.from(JSON.stringify({ name: "web", image: "r/ops/web:1", ...more })));
const refused = (message: string | RegExp) =>
  expect.objectContaining({ code: "SPEC", message: expect.stringMatching(message) });

/** That would be another one on the node. */
const badSource = (source: string): [string, object, string] => [
  `to mount ${JSON.stringify(source)}`,
  { mounts: [{ type: "bind", source, target: "/v" }] },
  "mounts.0.source: an absolute path",
];

describe("parseServiceSpec", () => {
  it("gives what is left out its default", () => {
    expect(parse({})).toMatchObject({
      ...{ replicas: 1, env: {}, mounts: [], networks: [], endpointMode: "vip", readOnly: false },
      ...{ capabilities: { add: [], drop: [] }, update: { parallelism: 1, monitor: "5s", order: "stop-first" } },
    });
  });

  it.each<[string, object, string]>([
    ["what nobody looked at", { privileged: true }, "privileged"],
    ["what nobody looked at, inside", { capabilities: { all: true } }, "capabilities"],
    [
      "driver options of a volume, which make any folder of it",
      { mounts: [{ type: "volume", source: "v", target: "/v", options: { o: "bind" } }] },
      "mounts.0",
    ],
    ["another kind of mount", { mounts: [{ type: "npipe", source: "/x", target: "/v" }] }, "mounts.0.type"],
    [
      "a bind mount that climbs",
      { mounts: [{ type: "bind", source: "/srv/../etc", target: "/v" }] },
      "an absolute path",
    ],
    ...['/srv/data/{{"../.."}}', '/srv/data/{{printf "%c%c" 46 46}}', "/srv/data/}}", "/../etc"].map(badSource),
    ...["/srv/data/\n/../../../etc", "/srv/data/\u2028/../../etc", "/srv/data/\u0000", "/srv/\u0085"].map(badSource),
    [
      "a template in where a mount lies",
      { mounts: [{ type: "volume", source: "v", target: "/{{.Node.Hostname}}" }] },
      "mounts.0.target: an absolute path",
    ],
    [
      "labels that stacks and the bridge go by",
      { labels: { "com.docker.stack.namespace": "x" } },
      "abels.*Invalid key",
    ],
    ["a label of the bridge's", { containerLabels: { "goldseal.environment": "x" } }, "abels.*Invalid key"],
    ["a name that is none", { name: "../web" }, "1 to 63"],
    [
      "aliases where it is not",
      { networkAliases: { front: ["www"] } },
      "networkAliases.front: it is not on this network",
    ],
    ["what no host is called", { networks: ["front"], networkAliases: { front: ["a b"] } }, "a name of one host"],
  ])("refuses %s", (_what, more, reason) => {
    expect(() => parse(more)).toThrow(refused(reason));
  });

  it("refuses a member that stands there twice, and one that JavaScript does not see", () => {
    const text = (more: string) => Buffer.from(`{"name":"web","image":"r/ops/web:1",${more}}`);

    expect(() => parseServiceSpec(text('"user":"a","user":"root"'))).toThrow(refused("not good JSON"));
    expect(() => parseServiceSpec(text('"__proto__":{"user":"root"}'))).toThrow(refused("__proto__"));
  });
});

describe("requireWithin", () => {
  const everything = parse({
    ...{
      command: ["sh"],
      entrypoint: ["/bin/sh"],
      user: "root",
      networks: ["host", "front"],
      secrets: [{ source: "db" }],
    },
    health: { test: ["CMD-SHELL", "curl evil"], interval: "30s", timeout: "5s", retries: 3 },
    mounts: [
      { type: "bind", source: "/", target: "/host" },
      { type: "volume", source: "data", target: "/data" },
    ],
    capabilities: { add: ["SYS_ADMIN"], drop: ["ALL"] },
    configs: [{ source: "shop_conf_0123456789abcdef", target: "/bin/sh" }],
    ...{ ulimits: { nofile: { soft: 1, hard: 2 } }, sysctls: { "net.core.somaxconn": "1" } },
    logging: { driver: "syslog", options: {} },
  });

  it("lets pass what adds nothing to the image", () => {
    expect(() => requireWithin(parse({ env: { A: "b" }, capabilities: { drop: ["ALL"] } }), {}, "prod")).not.toThrow();
  });

  it("refuses, all at once, what the environment says nothing of", () => {
    expect(() => requireWithin(everything, {}, "prod")).toThrow(
      refused(
        "^prod does not let a service have a command of its own, a health check of its own, an entrypoint of its own, " +
          "a user of its own, ulimits of its own, the node's network, the node's /, the capability SYS_ADMIN, the secret db, " +
          "the config shop_conf_0123456789abcdef, the kernel's net.core.somaxconn, the log driver syslog \\(specLimits\\)$",
      ),
    );
  });

  it("lets pass what the environment lets it, each by itself", () => {
    const limits = {
      ...{ command: true, entrypoint: true, user: true, hostNetwork: true },
      ...{ bindMounts: ["/"], capabilities: ["SYS_ADMIN"], secrets: ["db"], configs: ["shop_conf"] },
      ...{ ulimits: true, sysctls: ["net.core.somaxconn"], logDrivers: ["syslog"] },
    };
    expect(() => requireWithin(everything, limits, "prod")).not.toThrow();

    for (const name of Object.keys(limits)) {
      const { [name as keyof typeof limits]: _left, ...others } = limits;
      expect(() => requireWithin(everything, others, "prod")).toThrow(refused("^prod does not let"));
    }
  });

  it.each(["/app/entrypoint.sh", "../../app/run", "a/b", ".", ".."])(
    "refuses to lay a listed secret over the image's %s, unless it may be a config",
    (target) => {
      const act = (configs: string[]) => () =>
        requireWithin(
          parse({ secrets: [{ source: "db", target, mode: 0o755 }] }),
          { secrets: ["db"], configs },
          "prod",
        );

      expect(act([])).toThrow(refused(`^prod does not let a service have the secret db at ${target} \\(specLimits`));
      expect(act(["db"])).not.toThrow();
    },
  );

  it("lets pass a listed secret under another name", () => {
    const spec = parse({ secrets: [{ source: "db_0123456789abcdef", target: "db.key" }] });
    expect(() => requireWithin(spec, { secrets: ["db"] }, "prod")).not.toThrow();
  });

  it.each([
    ["/srv/data", true],
    ["/srv/data/", true],
    ["/srv//data/x", true],
    ["/srv/database", false],
    ["/srv", false],
    ["/", false],
  ])("knows of %s whether it is in /srv/data", (source, isWithin) => {
    const act = () =>
      requireWithin(parse({ mounts: [{ type: "bind", source, target: "/x" }] }), { bindMounts: ["/srv/data"] }, "prod");

    if (isWithin) expect(act).not.toThrow();
    else expect(act).toThrow(refused(`the node's ${source} `));
  });
});
