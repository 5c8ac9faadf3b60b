import { describe, expect, it } from "vitest";
import { ComposeError } from "./error.ts";
import { toStack } from "./stack-text.ts";

const FILES: Readonly<Record<string, string>> = {
  "./key.txt": "s3cret",
  "web.env": "# no\nA=1\nQUOTED=\"x\"\nFROM_ME\n\nUNSET\n",
};
const SET: Readonly<Record<string, string>> = { FROM_ME: "mine", TAG: "7", EMPTY: "" };

const read = (path: string): Buffer => {
  const text = FILES[path];
  if (text === undefined) throw new Error("ENOENT");
  return Buffer.from(text);
};
const deployment = { name: "shop", variables: (name: string) => SET[name], read };
const make = (text: string) => toStack(text, deployment);
/** Of one service `web` with an image. */
const web = (lines: string): Record<string, unknown> => {
  const { services } = make(`services:\n  web:\n    image: r/a/b:1\n${indent(lines, 4)}\n`).stack as never as {
    services: { web: Record<string, unknown> };
  };
  const { image: _, networks, ...rest } = services.web;
  expect(networks).toEqual(["default"]);
  return rest;
};
const indent = (text: string, by: number): string => text.replaceAll(/^(?=.)/gm, " ".repeat(by));

function faultsOf(text: string): readonly string[] {
  try {
    make(text);
    return [];
  } catch (error) {
    if (error instanceof ComposeError) return error.faults;
    throw error;
  }
}
const faultsOfWeb = (lines: string) => faultsOf(`services:\n  web:\n    image: r/a/b:1\n${indent(lines, 4)}\n`);

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
    ["a command as a line", `command: sh -c "echo 'x' \\"y\\"" plain\\ one`, { command: ["sh", "-c", `echo 'x' "y"`, "plain one"] }],
    ["environment as a list", "environment: [A=1, B=x=y, FROM_ME, UNSET]", { env: { A: "1", B: "x=y", FROM_ME: "mine" } }],
    ["environment as a map", "environment: {A: 1.5, FROM_ME: , UNSET: , B: ''}", { env: { A: "1.5", FROM_ME: "mine", B: "" } }],
    ["files of variables", "env_file: web.env\nenvironment: {A: 2}", { env: { A: "2", QUOTED: '"x"', FROM_ME: "mine" } }],
    ["labels of containers and of the service", "labels: {a: 1}\ndeploy: {labels: [b=2]}", { labels: { b: "2" }, containerLabels: { a: "1" } }],
    ["capabilities, with and without CAP_", "cap_add: [CAP_NET_ADMIN]\ncap_drop: [all]", { capabilities: { add: ["NET_ADMIN"], drop: ["ALL"] } }],
    ["times", "stop_grace_period: 1m30s", { stopGrace: "90s" }],
    ["a health check as a line", "healthcheck: {test: curl x, interval: 500ms, start_period: 1m, retries: 3, timeout: 0s}", { health: { test: ["CMD-SHELL", "curl x"], interval: "500ms", startPeriod: "60s", retries: 3 } }],
    ["no health check", "healthcheck: {disable: true}", { health: { test: ["NONE"] } }],
    ["numbers as variables give them", "deploy: {replicas: '${TAG}', resources: {limits: {cpus: '0.50', memory: 50M, pids: 9}}}", { replicas: 7, limits: { cpus: 0.5, memoryBytes: 52_428_800, pids: 9 } }],
    ["one on every node", "deploy: {mode: global, endpoint_mode: dnsrr}", { replicas: "global", endpointMode: "dnsrr" }],
    ["what nodes say they have", "deploy: {resources: {reservations: {generic_resources: [{discrete_resource_spec: {kind: gpu, value: 2}}]}}}", { reservations: { generic: [{ kind: "gpu", value: 2 }] } }],
    ["restarts", "deploy: {restart_policy: {condition: on-failure, delay: 0s, max_attempts: 3, window: 2m}}", { restart: { condition: "on-failure", delay: "0s", maxAttempts: 3, window: "120s" } }],
    ["updates", "deploy: {update_config: {parallelism: 2, delay: 10s, order: start-first, monitor: 1m, max_failure_ratio: 0.3, failure_action: rollback}}", { update: { parallelism: 2, delay: "10s", order: "start-first", monitor: "60s", maxFailureRatio: 0.3 } }],
    ["placement", "deploy: {placement: {constraints: [node.role==worker], max_replicas_per_node: 1, preferences: [{spread: node.labels.zone}]}}", { constraints: ["node.role==worker"], maxPerNode: 1, strategy: "spread", spreadOver: "zone" }],
    ["what else there is", "user: 1000\nworking_dir: /srv\nhostname: h\nread_only: true\ninit: true\nstop_signal: SIGINT\ntty: true\nstdin_open: true", { user: "1000", workingDirectory: "/srv", hostname: "h", readOnly: true, init: true, stopSignal: "SIGINT", tty: true, openStdin: true }],
    ["names", "dns: 10.0.0.2\ndns_search: [a.test]\nextra_hosts: ['db:10.0.0.1', 'six=::1']", { dns: { servers: ["10.0.0.2"], search: ["a.test"] }, hosts: ["db:10.0.0.1", "six:::1"] }],
    ["limits of the kernel, and logs", "sysctls: [net.core.somaxconn=1024]\nulimits: {nproc: 9, nofile: {soft: 1, hard: 2}}\nlogging: {driver: json-file, options: {max-size: 1m}}", { sysctls: { "net.core.somaxconn": "1024" }, ulimits: { nproc: { soft: 9, hard: 9 }, nofile: { soft: 1, hard: 2 } }, logging: { driver: "json-file", options: { "max-size": "1m" } } }],
    ["tmpfs", "tmpfs: [/run, '/tmp:size=1m,mode=1777']", { mounts: [{ type: "tmpfs", target: "/run" }, { type: "tmpfs", target: "/tmp", sizeBytes: 1_048_576, mode: 0o1777 }] }],
  ])("takes %s", (_what, lines, expected) => {
    expect(web(lines)).toEqual(expected);
  });

  it.each<[string, object[]]>([
    ["80", [{ target: 80 }]],
    ["8080:80", [{ target: 80, published: 8080 }]],
    ["53:53/udp", [{ target: 53, published: 53, protocol: "udp" }]],
    ["22:22", [{ target: 22, published: 22 }]],
    ["8000-8001:80-81", [{ target: 80, published: 8000 }, { target: 81, published: 8001 }]],
  ])("takes the port %s", (port, expected) => {
    const plain = { protocol: "tcp", mode: "ingress" };
    expect(web(`ports:\n- ${port}`)).toEqual({ ports: expected.map((one) => ({ ...plain, ...one })) });
  });

  it("takes a port at length, with a number that is text", () => {
    expect(web(`ports:\n- {target: 80, published: "8080", mode: host}`)).toEqual({
      ports: [{ target: 80, published: 8080, protocol: "tcp", mode: "host" }],
    });
  });

  it("says what the bridge does otherwise", () => {
    const { notes } = make(`services:
  web:
    image: r/a/b:1
    deploy: {update_config: {failure_action: pause}, rollback_config: {parallelism: 2}}`);

    expect(notes).toEqual([
      "services.web.deploy.update_config.failure_action: the bridge itself rolls back what fails, to the newest that verifies then",
      expect.stringMatching("^services.web.deploy.rollback_config: the bridge itself rolls back what fails"),
    ]);
  });

  it("names everything that a Swarm has not, with its path, all at once", () => {
    const faults = faultsOf(`
services:
  web:
    image: r/a/b:1
    build: .
    privileged: true
    depends_on: [db]
    ports: ["127.0.0.1:80:80", {target: 80, host_ip: 127.0.0.1}]
    volumes: [./here:/x, {type: bind, source: /a, target: /b, bind: {propagation: rshared}}]
    deploy: {mode: replicated-job, update_config: {failure_action: continue}}
  db:
    container_name: db
    networks: {a: {ipv4_address: 10.0.0.1}}
volumes: {data: {driver_opts: {type: none, o: bind, device: /}}}
networks: {a: {driver: macvlan}}
frobnicate: 1
`);

    expect(faults.map((fault) => fault.split(": ")[0])).toEqual([
      "services.web.deploy.mode",
      "services.web.deploy.update_config.failure_action",
      "services.web.ports.0",
      "services.web.ports.1.host_ip",
      "services.web.volumes.0",
      "services.web.volumes.1.bind.propagation",
      "services.web.build",
      "services.web.privileged",
      "services.web.depends_on",
      "services.db.image",
      "services.db.networks.a.ipv4_address",
      "services.db.container_name",
      "networks.a.driver",
      "volumes.data.driver_opts",
      "frobnicate",
    ]);
    expect(faults[6]).toBe("services.web.build: a cluster builds nothing: push and sign the image, and name it under image");
  });

  it("names everything that leads nowhere, all at once", () => {
    const faults = faultsOf(`
name: other
services:
  web:
    image: r/a/b:1
    networks: [a]
    secrets: [k]
    volumes: ["v:/v"]
    deploy: {mode: global, replicas: 2, placement: {preferences: [{spread: engine.labels.x}]}}
secrets:
  both: {file: ./key.txt, content: x}
  none: {}
  gone: {file: ./nowhere}
  far: {external: true, file: ./key.txt}
`);

    expect(faults).toEqual([
      "name: the file is of other, and the stack shall be shop",
      "services.web.secrets.0: the file has no k under secrets",
      "services.web.networks.a: the file has no a under networks",
      "services.web.volumes.0: the file has no v under volumes",
      "services.web.deploy.replicas: global is one on every node",
      "services.web.deploy.placement.preferences.0.spread: the bridge spreads over labels of nodes: node.labels.zone",
      "secrets.both: its content is in one of file, environment and content",
      "secrets.none: its content is in one of file, environment and content",
      "secrets.gone.file: ./nowhere cannot be read (ENOENT)",
      "secrets.far: what is external is there already: it has a name and nothing else",
    ]);
  });

  it.each([
    ["true and false as a variable, which shells differ about", "environment: {A: true}", "services.web.environment.A: text or a number: put true and false in quotes"],
    ["a port that is none", "ports: ['x']", "services.web.ports.0: a port is like 8080:80, 80 or 53:53/udp"],
    ["ranges of different lengths", "ports: ['80-82:80']", "services.web.ports.0: both ranges have the same length"],
    ["a range without end", "ports: ['1-60000:1-60000']", "services.web.ports.0: a range goes upward, over 256 ports at most"],
    ["a quote without an end", `command: "sh -c 'x"`, "services.web.command: a list, or a line whose quotes end"],
    ["a time that is none", "stop_grace_period: soon", "services.web.stop_grace_period: a time such as 30s or 1m30s"],
    ["options of a mount", "volumes: ['v:/v:rshared']", "services.web.volumes.0: Swarm does not have the option rshared"],
  ])("refuses %s", (_what, lines, fault) => {
    expect(faultsOfWeb(lines)).toEqual([fault]);
  });
});
