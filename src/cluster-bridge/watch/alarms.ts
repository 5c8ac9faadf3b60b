import type { Log } from "../../http/log.ts";
import type { Journal } from "../journal.ts";
import type { Judged } from "./watch.ts";

export interface AlarmsDeps {
  readonly journal: Pick<Journal, "records" | "append">;
  readonly log: Log;
}

interface Subject {
  readonly what: "service" | "container" | "node";
  readonly id: string;
  readonly name: string;
  readonly state: string;
  readonly reason: string;
  readonly since: Date;
  readonly node?: string;
  readonly environment?: string | undefined;
}

/** A moment's silence of somebody is no alarm; that a node was not seen is said within ten seconds of its silence. */
const PATIENCE_MS: Readonly<Record<string, number>> = { unknown: 30_000, unseen: 6_000 };
const GOOD: readonly string[] = ["trusted", "seen"];

/** Says once that something is not as it should be, and once that it is again: in the log and in the journal. */
export class Alarms {
  readonly #deps: AlarmsDeps;
  /** What was said last of whoever is not well, by subject. */
  #said: ReadonlyMap<string, string>;

  /** Goes on where the bridge before it was. */
  constructor(deps: AlarmsDeps) {
    this.#deps = deps;
    const seen = deps.journal.records.filter(({ event }) => event === "seen");
    const last = new Map(seen.map(({ subject, state }) => [String(subject), String(state)]));
    this.#said = new Map([...last].filter(([, state]) => !GOOD.includes(state)));
  }

  async hear(judged: Judged, at: Date): Promise<void> {
    const said = new Map<string, string>();
    for (const subject of toSubjects(judged)) {
      const key = `${subject.what} ${subject.id}`;
      const before = this.#said.get(key);
      const isGood = GOOD.includes(subject.state);
      const isNews = isGood ? before !== undefined : isDue(subject, at) && before !== subject.state;
      if (isNews) await this.#say(key, subject, isGood);
      const now = isNews ? subject.state : before;
      if (!isGood && now !== undefined) said.set(key, now);
    }
    this.#said = said;
  }

  async #say(key: string, { since, ...subject }: Subject, isGood: boolean): Promise<void> {
    const { journal, log } = this.#deps;
    await journal.append({ event: "seen", subject: key, ...subject, since: since.toISOString() });
    log[isGood ? "info" : "warn"]("watch.seen", { ...subject });
  }
}

const isDue = ({ state, since }: Subject, at: Date): boolean =>
  at.getTime() - since.getTime() >= (PATIENCE_MS[state] ?? 0);

function toSubjects({ services, containers, nodes }: Judged): Subject[] {
  // Somebody's service that crashes all the time has new containers all the time: it is said of the service, once.
  const strange = new Set(
    services
      .filter(({ state, ordered }) => state === "unmanaged" && ordered === undefined)
      .map(({ seen: { id } }) => id),
  );
  const toldOf = containers.filter(({ service }) => service === undefined || !strange.has(service.id));
  return [
    ...services.map(({ seen: { id, name }, ordered, state, reason, since }): Subject => {
      return { what: "service", id, name, environment: ordered?.environment, state, reason, since };
    }),
    ...toldOf.map(({ seen: { id, name, node }, environment, state, reason, since }): Subject => {
      return { what: "container", id, name, node, environment, state, reason, since };
    }),
    ...nodes.map(({ id, hostname, state, reason, since }): Subject => {
      return { what: "node", id, name: hostname, state, reason, since };
    }),
  ];
}
