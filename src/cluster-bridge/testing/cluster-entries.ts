/** What engines answer, as far as the bridge looks at it. */
import type { Loose } from "../../notary/tuf/testing/loose.ts";

export const DIGEST = `sha256:${"d".repeat(64)}`;
const IMAGE = `registry.test/ops/app@${DIGEST}`;

interface Placed {
  readonly environment?: string;
  readonly stack?: string;
  readonly labels?: Readonly<Record<string, string>>;
}

function labelsOf({ environment, stack, labels = {} }: Placed): Record<string, string> {
  return {
    ...labels,
    ...(environment && { "goldseal.environment": environment }),
    ...(stack && { "com.docker.stack.namespace": stack }),
  };
}

interface ServiceOptions extends Placed {
  readonly container?: Loose;
  readonly networks?: readonly string[];
  readonly replicas?: number | "global";
}

export function serviceOf(name: string, options: ServiceOptions = {}): Loose {
  const { container = {}, networks = [], replicas = 1 } = options;
  return {
    ID: `id-of-${name}`,
    CreatedAt: "2026-11-22T09:00:00Z",
    UpdatedAt: "2026-11-22T10:00:00Z",
    Spec: {
      Name: name,
      Labels: labelsOf(options),
      TaskTemplate: {
        ContainerSpec: { Image: IMAGE, ...container },
        Networks: networks.map((Target) => ({ Target })),
        Resources: {},
      },
      Mode: replicas === "global" ? { Global: {} } : { Replicated: { Replicas: replicas } },
    },
  };
}

interface TaskOptions {
  readonly slot?: number;
  readonly state?: string;
  readonly desired?: string;
  readonly error?: string;
  readonly reserved?: Loose;
}

export function taskOf(service: string, node: string, options: TaskOptions = {}): Loose {
  const { slot = 1, state = "running", desired = "running", error = "", reserved = {} } = options;
  return {
    ID: `task-${service}-${slot}-${state}`,
    ServiceID: `id-of-${service}`,
    NodeID: node === "" ? "" : `id-of-${node}`,
    Slot: slot,
    Spec: { ContainerSpec: { Image: IMAGE }, Resources: { Reservations: reserved } },
    Status: { Timestamp: `2026-11-22T10:00:0${slot}Z`, State: state, Message: "started", Err: error },
    DesiredState: desired,
  };
}

export function networkOf(name: string, options: Placed & { readonly more?: Loose } = {}): Loose {
  return {
    ...{ Id: `id-of-${name}`, Name: name, Scope: "swarm", Driver: "overlay", Created: "2026-11-22T09:00:00Z" },
    ...{ IPAM: { Config: [{ Subnet: "10.0.9.0/24", Gateway: "10.0.9.1" }] }, Options: {} },
    Labels: labelsOf(options),
    ...options.more,
  };
}

/** A secret, or a config with what is in it. */
export function sealedOf(name: string, options: Placed = {}): Loose {
  const Spec = { Name: name, Labels: labelsOf(options), Data: "bm8gYnVzaW5lc3Mgb2YgYW55Ym9keQ==" };
  return { ID: `id-of-${name}`, CreatedAt: "2026-11-22T09:00:00Z", UpdatedAt: "2026-11-22T09:00:00Z", Spec };
}

export function volumeOf(name: string, options: Placed & { readonly driver?: string } = {}): Loose {
  const { driver = "local" } = options;
  const more = { Mountpoint: "/secret/path", Options: { o: "password=hunter2" } };
  return {
    Name: name,
    Driver: driver,
    Scope: "local",
    Labels: labelsOf(options),
    CreatedAt: "2026-11-22T09:00:00Z",
    ...more,
  };
}

export function containerOf(name: string, volume: string, service?: string): Loose {
  const own = service && {
    "com.docker.swarm.service.id": `id-of-${service}`,
    "com.docker.swarm.service.name": service,
  };
  return {
    ...{ Id: `${name}${"0".repeat(64)}`.slice(0, 64), Names: [`/${name}`], State: "running", Labels: { ...own } },
    Mounts: [{ Type: "volume", Name: volume, Destination: "/data" }],
  };
}
