/** Honest orders and others, and what the engines started of them. */
import { equal, running } from "../looking.ts";
import { RUNS } from "../parts/deploying.ts";
import { StartWatch } from "../starts.ts";
import type { Answer, World } from "../world.ts";

/** An image that is signed. */
export interface Released {
  readonly tag: string;
  /** By its digest. */
  readonly pinned: string;
}

export class Havoc {
  readonly world: World;
  /** The images that may run, by digest; each was signed when it was ordered. */
  readonly #signed = new Set<string>();
  readonly #watch: StartWatch;
  #honest = 0;
  #refused = 0;
  #versions = 0;
  /** Two that are released before anything goes wrong: each is an update of the other. */
  #standing: readonly Released[] = [];
  /** What nobody signed. */
  readonly #unsigned: string;

  private constructor(world: World, unsigned: string) {
    [this.world, this.#unsigned] = [world, unsigned];
    this.#watch = new StartWatch(world.lab.nodes);
  }

  static async begin(world: World): Promise<Havoc> {
    const havoc = new Havoc(world, await world.push("unsigned", `echo unsigned; ${RUNS}`));
    await world.api("PUT", "/api/v1/orgs/ann/repositories/web", JSON.stringify({ visibility: "public" }));
    await world.goldseal("trust", "init", `${world.server.host}/ann/web`);
    havoc.#standing = [await havoc.release(), await havoc.release()];
    await world.setPolicy();
    await world.startBridge();
    return havoc;
  }

  /** @throws Error when there is no such */
  get standing(): readonly [Released, Released] {
    const [one, two] = this.#standing;
    if (one === undefined || two === undefined) throw new Error("nothing is released");
    return [one, two];
  }

  /** One more image, signed: its tag, and as it is pinned. */
  async release(): Promise<Released> {
    const tag = `v${++this.#versions}`;
    const digest = await this.world.push(tag, `echo ${tag}; ${RUNS}`);
    await this.world.sign(tag);
    const pinned = this.world.pin(digest);
    this.#signed.add(pinned);
    return { tag, pinned };
  }

  spec(name: string, tag: string, replicas = 2): object {
    // What is lost starts anew soon, and not after five seconds.
    const restart = { condition: "any", delay: "1s" };
    const update = { parallelism: replicas, monitor: "250ms" };
    return { name, image: this.world.image(tag), replicas, update, restart };
  }

  /** Nobody answers where the bridge was killed. */
  async deploy(spec: object, lifeSeconds?: number): Promise<Answer | undefined> {
    return this.world.deploy(spec, "prod", lifeSeconds).catch(() => undefined);
  }

  /** It runs in the end, each replica by its digest, whatever was answered. */
  async mustRun(name: string, pinned: string, replicas = 2): Promise<void> {
    const found = (await running(this.world, name)).map(({ image }) => image);
    equal(found, Array(replicas).fill(pinned));
    this.#honest++;
  }

  /** By its tag and by its digest, for a service that runs and for one that does not: refused, whatever else goes wrong. */
  async tryUnsigned(name: string, lifeSeconds?: number): Promise<void> {
    for (const image of [this.world.image("unsigned"), this.world.pin(this.#unsigned)]) {
      const answer = await this.world.deploy({ name, image, replicas: 1 }, "prod", lifeSeconds).catch(() => undefined);
      if (answer !== undefined && answer.status === 200) throw new Error(`not refused: ${JSON.stringify(answer)}`);
      this.#refused++;
    }
  }

  /** One line of figures. @throws Error when anything was started that nobody had signed */
  async end(): Promise<string> {
    await this.#watch.close();
    const { starts } = this.#watch;
    const foreign = starts.filter(({ image }) => !this.#signed.has(image));
    if (foreign.length > 0) throw new Error(JSON.stringify(foreign, undefined, 1));
    if (starts.length === 0) throw new Error("nothing was seen to start at all");
    return `chaos: ${starts.length} containers started, 0 unsigned; ${this.#honest} honest deployments run, ${this.#refused} others tried`;
  }
}
