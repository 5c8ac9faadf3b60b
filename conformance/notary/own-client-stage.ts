/** What every step of `goldseal trust` beside docker needs. */
import type { Dockerd } from "../clients/dockerd.ts";
import type { Layout } from "../clients/layouts.ts";
import type { Report } from "../harness/report.ts";
import type { RunningServer } from "../harness/server.ts";
import type { RunResult } from "../harness/tools.ts";
import type { Replay } from "./replay.ts";
import { type Command, type Person, PRIVATE_ORG, type Room } from "./world.ts";

export interface OwnClient {
  readonly report: Report;
  readonly server: RunningServer;
  readonly dockerd: Dockerd;
  /** `docker-20.10` or `docker-28`. */
  readonly docker: string;
}

export class Stage {
  readonly people: Room["people"];
  readonly folder: string;
  readonly layout: Layout;
  readonly replay: Replay;
  /** Founded by goldseal, and by docker. */
  readonly own: string;
  readonly dockers: string;
  readonly #socket: string;
  readonly #docker: string;

  constructor({ server, dockerd, docker }: OwnClient, { people, folder }: Room, layout: Layout, replay: Replay) {
    this.people = people;
    this.folder = folder;
    this.layout = layout;
    this.replay = replay;
    this.own = `${server.host}/${PRIVATE_ORG}/own-${docker}`;
    this.dockers = `${server.host}/${PRIVATE_ORG}/dockers-${docker}`;
    this.#socket = dockerd.socket;
    this.#docker = docker;
  }

  docker(who: Person, line: string, command?: Command): Promise<RunResult> {
    return who.run(this.#docker, ["--host", this.#socket, ...line.split(" ")], command);
  }

  goldseal(who: Person, line: string, command?: Command & { readonly url?: string }): Promise<RunResult> {
    return who.goldseal(line.split(" "), command);
  }
}
