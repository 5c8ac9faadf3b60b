/** Every container that an engine of the lab starts, as the engines themselves tell it, whoever asked for it. */
import { get } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import type { LabNode } from "./lab.ts";
import { filters } from "./looking.ts";

export interface Start {
  readonly node: string;
  /** As the container was asked for. */
  readonly image: string;
  readonly name: string;
}

const AGAIN_MS = 50;

/** Follows the nodes through power cuts: what starts while an engine cannot be asked is told by it afterwards. */
export class StartWatch {
  readonly #starts = new Map<string, Start>();
  readonly #controller = new AbortController();
  readonly #followed: Promise<unknown>;

  constructor(nodes: readonly LabNode[]) {
    this.#followed = Promise.all(nodes.map((node) => this.#follow(node)));
  }

  get starts(): readonly Start[] {
    return [...this.#starts.values()];
  }

  async close(): Promise<void> {
    this.#controller.abort();
    await this.#followed;
  }

  async #follow(node: LabNode): Promise<void> {
    const { signal } = this.#controller;
    const since = Math.floor(Date.now() / 1000);
    while (!signal.aborted) {
      await this.#listen(node, since).catch(() => undefined);
      await delay(AGAIN_MS);
    }
  }

  #listen(node: LabNode, since: number): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const path = `/v1.41/events?since=${since}&filters=${filters({ type: ["container"], event: ["start"] })}`;
    const options = { socketPath: node.socketPath, path, headers: { host: "engine" }, signal: this.#controller.signal };
    const request = get(options, (incoming) => {
      let rest = "";
      incoming.setEncoding("utf8").on("data", (text: string) => {
        const lines = `${rest}${text}`.split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) this.#note(node.name, line);
      });
      incoming.once("error", reject).once("end", resolve);
    });
    request.once("error", reject);
    return promise;
  }

  #note(node: string, line: string): void {
    if (line === "") return;
    const { id, timeNano, Actor } = JSON.parse(line) as Wire;
    const { image, name } = Actor.Attributes;
    this.#starts.set(`${id} ${timeNano}`, { node, image, name });
  }
}

interface Wire {
  readonly id: string;
  readonly timeNano: number;
  readonly Actor: { readonly Attributes: { readonly image: string; readonly name: string } };
}
