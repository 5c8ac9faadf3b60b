import { describe, expect, it } from "vitest";
import { make, web } from "./testing/shop.ts";

describe("toStack", () => {
  it("writes everything out that services need", () => {
    const { stack, notes } = make(`
version: "3.8"
x-common: &common
  image: r/ops/web:\${TAG}
  environment: {A: b}
services:
  web:
    <<: *common
    networks: {front: {aliases: [www]}, back: }
    secrets: [key, {source: tls, target: server.pem, mode: 0400}]
    configs: [{source: nginx, target: /etc/nginx.conf}]
    volumes: ["data:/data:ro", "/srv/x:/x", {type: tmpfs, target: /run, tmpfs: {size: 64m, mode: 01777}}, /cache]
  db: {image: "r/ops/db:1", x-mine: 1}
networks:
  front: {attachable: true, driver_opts: {encrypted: ""}, ipam: {config: [{subnet: 10.9.0.0/24}]}}
  back: {external: true, name: shared}
  unused:
volumes: {data: {driver: local, labels: [tier=gold]}}
secrets: {key: {file: ./key.txt}, tls: {external: true, name: tls-2026}}
configs: {nginx: {content: "listen \${TAG};"}}
`);

    expect(notes).toEqual([]);
    expect(stack).toEqual({
      name: "shop",
      services: {
        web: {
          image: "r/ops/web:7",
          env: { A: "b" },
          networks: ["front", "back"],
          networkAliases: { front: ["www"] },
          secrets: [{ source: "key" }, { source: "tls", target: "server.pem", mode: 0o400 }],
          configs: [{ source: "nginx", target: "/etc/nginx.conf" }],
          mounts: [
            { type: "volume", source: "data", target: "/data", readOnly: true },
            { type: "bind", source: "/srv/x", target: "/x" },
            { type: "tmpfs", target: "/run", sizeBytes: 64 * 1024 * 1024, mode: 0o1777 },
            { type: "volume", target: "/cache" },
          ],
        },
        db: { image: "r/ops/db:1", networks: ["default"] },
      },
      networks: {
        front: { driverOptions: { encrypted: "" }, attachable: true, subnets: ["10.9.0.0/24"] },
        back: { external: "shared" },
        default: {},
      },
      volumes: { data: { driver: "local", labels: { tier: "gold" } } },
      secrets: { key: { data: Buffer.from("s3cret").toString("base64") }, tls: { external: "tls-2026" } },
      configs: { nginx: { data: Buffer.from("listen 7;").toString("base64") } },
    });
  });

  it.each<[string, string, object]>([
    ["a command as a list", "command: [sh, -c, 'a b']", { command: ["sh", "-c", "a b"] }],
    [
      "a command as a line",
      `command: sh -c "echo 'x' \\"y\\"" plain\\ one`,
      { command: ["sh", "-c", `echo 'x' "y"`, "plain one"] },
    ],
    [
      "environment as a list",
      "environment: [A=1, B=x=y, FROM_ME, UNSET]",
      { env: { A: "1", B: "x=y", FROM_ME: "mine" } },
    ],
    [
      "environment as a map",
      "environment: {A: 1.5, FROM_ME: , UNSET: , B: ''}",
      { env: { A: "1.5", FROM_ME: "mine", B: "" } },
    ],
    [
      "files of variables",
      "env_file: web.env\nenvironment: {A: 2}",
      { env: { A: "2", QUOTED: '"x"', FROM_ME: "mine" } },
    ],
    [
      "labels of containers and of the service",
      "labels: {a: 1}\ndeploy: {labels: [b=2]}",
      { labels: { b: "2" }, containerLabels: { a: "1" } },
    ],
    [
      "capabilities, with and without CAP_",
      "cap_add: [CAP_NET_ADMIN]\ncap_drop: [all]",
      { capabilities: { add: ["NET_ADMIN"], drop: ["ALL"] } },
    ],
    ["times", "stop_grace_period: 1m30s", { stopGrace: "90s" }],
    [
      "a health check as a line",
      "healthcheck: {test: curl x, interval: 500ms, start_period: 1m, retries: 3, timeout: 0s}",
      { health: { test: ["CMD-SHELL", "curl x"], interval: "500ms", startPeriod: "60s", retries: 3 } },
    ],
    ["no health check", "healthcheck: {disable: true}", { health: { test: ["NONE"] } }],
    [
      "numbers as variables give them",
      "deploy: {replicas: $TAG, resources: {limits: {cpus: '0.50', memory: 50M, pids: 9}}}",
      { replicas: 7, limits: { cpus: 0.5, memoryBytes: 52_428_800, pids: 9 } },
    ],
    [
      "one on every node",
      "deploy: {mode: global, endpoint_mode: dnsrr}",
      { replicas: "global", endpointMode: "dnsrr" },
    ],
    [
      "what nodes say they have",
      "deploy: {resources: {reservations: {generic_resources: [{discrete_resource_spec: {kind: gpu, value: 2}}]}}}",
      { reservations: { generic: [{ kind: "gpu", value: 2 }] } },
    ],
    [
      "restarts",
      "deploy: {restart_policy: {condition: on-failure, delay: 0s, max_attempts: 3, window: 2m}}",
      { restart: { condition: "on-failure", delay: "0s", maxAttempts: 3, window: "120s" } },
    ],
    [
      "updates",
      "deploy: {update_config: {parallelism: 2, delay: 10s, order: start-first, monitor: 1m, max_failure_ratio: 0.3, failure_action: rollback}}",
      { update: { parallelism: 2, delay: "10s", order: "start-first", monitor: "60s", maxFailureRatio: 0.3 } },
    ],
    [
      "placement",
      "deploy: {placement: {constraints: [node.role==worker], max_replicas_per_node: 1, preferences: [{spread: node.labels.zone}]}}",
      { constraints: ["node.role==worker"], maxPerNode: 1, strategy: "spread", spreadOver: "zone" },
    ],
    [
      "what else there is",
      "user: 1000\nworking_dir: /srv\nhostname: h\nread_only: true\ninit: true\nstop_signal: SIGINT\ntty: true\nstdin_open: true",
      {
        user: "1000",
        workingDirectory: "/srv",
        hostname: "h",
        readOnly: true,
        init: true,
        stopSignal: "SIGINT",
        tty: true,
        openStdin: true,
      },
    ],
    [
      "names",
      "dns: 10.0.0.2\ndns_search: [a.test]\nextra_hosts: ['db:10.0.0.1', 'six=::1']",
      { dns: { servers: ["10.0.0.2"], search: ["a.test"] }, hosts: ["db:10.0.0.1", "six:::1"] },
    ],
    [
      "limits of the kernel, and logs",
      "sysctls: [net.core.somaxconn=1024]\nulimits: {nproc: 9, nofile: {soft: 1, hard: 2}}\nlogging: {driver: json-file, options: {max-size: 1m}}",
      {
        sysctls: { "net.core.somaxconn": "1024" },
        ulimits: { nproc: { soft: 9, hard: 9 }, nofile: { soft: 1, hard: 2 } },
        logging: { driver: "json-file", options: { "max-size": "1m" } },
      },
    ],
    [
      "tmpfs",
      "tmpfs: [/run, '/tmp:size=1m,mode=1777']",
      {
        mounts: [
          { type: "tmpfs", target: "/run" },
          { type: "tmpfs", target: "/tmp", sizeBytes: 1_048_576, mode: 0o1777 },
        ],
      },
    ],
  ])("takes %s", (_what, lines, expected) => {
    expect(web(lines)).toEqual(expected);
  });

  it.each<[string, object[]]>([
    ["80", [{ target: 80 }]],
    ["8080:80", [{ target: 80, published: 8080 }]],
    ["53:53/udp", [{ target: 53, published: 53, protocol: "udp" }]],
    ["22:22", [{ target: 22, published: 22 }]],
    [
      "8000-8001:80-81",
      [
        { target: 80, published: 8000 },
        { target: 81, published: 8001 },
      ],
    ],
  ])("takes the port %s", (port, expected) => {
    const plain = { protocol: "tcp", mode: "ingress" };
    expect(web(`ports:\n- ${port}`)).toEqual({ ports: expected.map((one) => ({ ...plain, ...one })) });
  });

  it("takes a port at length, with a number that is text", () => {
    expect(web(`ports:\n- {target: 80, published: "8080", mode: host}`)).toEqual({
      ports: [{ target: 80, published: 8080, protocol: "tcp", mode: "host" }],
    });
  });

  it("takes the pace of updates, and of what comes back", () => {
    const pace = "{parallelism: 2, delay: 10s, monitor: 3s, max_failure_ratio: 0.5, order: start-first}";
    const expected = { parallelism: 2, delay: "10s", monitor: "3s", maxFailureRatio: 0.5, order: "start-first" };

    expect(web(`deploy: {update_config: ${pace}, rollback_config: ${pace}}`)).toEqual({
      ...{ update: expected, rollback: expected },
    });
  });

  it("says what the bridge does otherwise", () => {
    const { notes } = make(`services:
  web:
    image: r/a/b:1
    deploy: {update_config: {failure_action: pause}, rollback_config: {failure_action: continue}}`);

    expect(notes).toEqual([
      "services.web.deploy.update_config.failure_action: the bridge itself rolls back what fails, to the newest that verifies then",
      "services.web.deploy.rollback_config.failure_action: a step back that fails is paused",
    ]);
  });
});
