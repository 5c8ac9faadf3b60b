import { describe, expect, it } from "vitest";
import { faultsOf, faultsOfWeb } from "./testing/shop.ts";

describe("toStack, of what cannot be", () => {
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
    expect(faults[6]).toBe(
      "services.web.build: a cluster builds nothing: push and sign the image, and name it under image",
    );
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
    [
      "true and false as a variable, which shells differ about",
      "environment: {A: true}",
      "services.web.environment.A: text or a number: put true and false in quotes",
    ],
    ["a port that is none", "ports: ['x']", "services.web.ports.0: a port is like 8080:80, 80 or 53:53/udp"],
    ["ranges of different lengths", "ports: ['80-82:80']", "services.web.ports.0: both ranges have the same length"],
    [
      "a range without end",
      "ports: ['1-60000:1-60000']",
      "services.web.ports.0: a range goes upward, over 256 ports at most",
    ],
    ["a quote without an end", `command: "sh -c 'x"`, "services.web.command: a list, or a line whose quotes end"],
    ["a time that is none", "stop_grace_period: soon", "services.web.stop_grace_period: a time such as 30s or 1m30s"],
    [
      "options of a mount",
      "volumes: ['v:/v:rshared']",
      "services.web.volumes.0: Swarm does not have the option rshared",
    ],
  ])("refuses %s", (_what, lines, fault) => {
    expect(faultsOfWeb(lines)).toEqual([fault]);
  });
});
