/** Reads back by HTTP what was acknowledged since birth, and settles what was left open. */
import { setTimeout as wait } from "node:timers/promises";
import type { ClientConfig } from "pg";
import { type Client, NoAnswer, Unavailable } from "./client.ts";
import { readCollected } from "./collecting.ts";
import { ANY, type History, type OpenOperation, PRESENT, type Register, type Upload, type Value } from "./history.ts";
import { digestLike, type Random } from "./random.ts";
import { readRight } from "./rights-operations.ts";
import { checkSigned, isUnderRule } from "./signed-operations.ts";
import { readTrust } from "./trust-operations.ts";
import { Violation } from "./violation.ts";

const ACCEPT = { accept: "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json" };
const AT_ONCE = 16;
/** Registers read again though nothing touched them since. */
const SAMPLE = 100;
const MAX_REPORTED = 20;
/** That a collection may take to come to its end, on a machine that is busy with other things. */
const PATIENCE_MS = 20_000;
const POLL_MS = 20;

export interface Checked {
  readonly registers: number;
  readonly uploads: number;
}

export class Checker {
  readonly #clients: readonly Client[];
  readonly #history: History;
  readonly #database: ClientConfig;
  readonly #violations: Violation[] = [];

  /** Each server says the same of everything; `database` is theirs, and has the collector's lists. */
  constructor(clients: readonly Client[], history: History, database: ClientConfig) {
    this.#clients = clients;
    this.#history = history;
    this.#database = database;
  }

  /** Everything since birth, or what was touched since the last check, all tags and some of the rest. */
  async check(extent: "everything" | Random): Promise<Checked> {
    const registers = extent === "everything" ? this.#history.registers : this.#choose(extent);
    const observed = new Map<Register, Value>();
    await this.#each(registers, async (register) => {
      observed.set(register, await this.#readEverywhere(register));
    });
    // After they were read: a collection that was under way then has said by now what it took.
    if (this.#history.isCollected) this.#history.noteCollected(await readCollected(this.#database));
    await this.#each([...observed], async ([register, value]) => judge(register, value, this.#history));
    const uploads = [...this.#history.uploads.values()];
    await this.#each(uploads, (upload) => this.#checkUpload(upload, observed));
    await this.#each([...this.#history.open], async (operation) => judgeWhole(operation, observed));
    await this.#each(tagLists(observed), ([repository, tags]) => this.#checkTagList(repository, tags));
    if (this.#violations.length > 0) {
      const words = this.#violations.slice(0, MAX_REPORTED).map(({ message }) => message);
      throw new Violation(
        this.#violations[0]?.kind ?? "LOSS",
        `${this.#violations.length} found:\n${words.join("\n")}`,
      );
    }
    for (const [register, value] of observed) register.settle(value);
    this.#history.keeping.confirmSeen(new Set([...observed].flatMap(([register, value]) => (value ? [register] : []))));
    this.#history.dirty.clear();
    this.#history.open.clear();
    return { registers: registers.length, uploads: uploads.length };
  }

  #any(): Client {
    const [client] = this.#clients;
    if (client === undefined) throw new Error("nobody to ask");
    return client;
  }

  #choose(random: Random): Register[] {
    const all = this.#history.registers;
    const chosen = new Set([
      ...this.#history.dirty,
      ...all.filter(({ kind }) => kind !== "blob" && kind !== "manifest"),
    ]);
    for (let index = 0; index < SAMPLE; index++) {
      const register = random.pick(all);
      if (register) chosen.add(register);
    }
    return [...chosen];
  }

  async #each<T>(list: readonly T[], check: (entry: T) => Promise<void>): Promise<void> {
    const left = list.values();
    const work = async (): Promise<void> => {
      for (const entry of left) {
        try {
          await check(entry);
        } catch (error) {
          this.#violations.push(toViolation(error));
        }
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
  }

  /** A collection that is still under way may take something loose between two looks: that must be over soon. */
  async #readEverywhere(register: Register): Promise<Value> {
    const { kind, isLoose } = register;
    const mayGo = this.#history.isCollected && isLoose && (kind === "blob" || kind === "manifest");
    for (const until = performance.now() + (mayGo ? PATIENCE_MS : 0); ; await wait(POLL_MS)) {
      try {
        return await this.#readOnce(register);
      } catch (error) {
        if (!(error instanceof Violation) || performance.now() >= until) throw error;
      }
    }
  }

  async #readOnce(register: Register): Promise<Value> {
    const values = await Promise.all(this.#clients.map((client) => this.#read(client, register)));
    const [value] = values;
    if (values.every((each) => each === value)) return value;
    throw new Violation("LOSS", `${register} is ${values.map((each) => each ?? "not there").join(" here and ")} there`);
  }

  async #read(client: Client, register: Register): Promise<Value> {
    const { kind, repository, name } = register;
    if (kind === "trust") return readTrust(client, repository);
    if (kind === "grant" || kind === "user" || kind === "key") return readRight(client, register);
    const path = `/v2/${repository}/${kind === "blob" ? "blobs" : "manifests"}/${name}`;
    const { status, headers, body } = await client.expect([200, 404], "GET", path, { headers: ACCEPT });
    if (isUnderRule(register)) {
      const digest = status === 404 ? undefined : String(headers["docker-content-digest"]);
      await checkSigned(client, register, digest);
    }
    if (status === 404) return undefined;
    const expected = kind === "tag" ? String(headers["docker-content-digest"]) : name;
    const actual = digestLike(expected, body);
    if (actual !== expected) throw new Violation("CORRUPTION", `${register}: its bytes are ${actual}`);
    if (kind !== "blob") await this.#checkReferences(client, register, body, actual);
    return kind === "tag" ? actual : PRESENT;
  }

  /** A manifest that can be seen has all it names, and is listed where it is a referrer. */
  async #checkReferences(client: Client, register: Register, body: Buffer, digest: string): Promise<void> {
    const { repository } = register;
    const { config, layers = [], manifests = [] } = JSON.parse(body.toString()) as ManifestFields;
    const paths = [
      ...new Set([config, ...layers].flatMap((blob) => (blob ? [`blobs/${blob.digest}`] : []))),
      ...manifests.map((child) => `manifests/${child.digest}`),
    ];
    for (const path of paths) {
      const { status } = await client.ask("HEAD", `/v2/${repository}/${path}`, { headers: ACCEPT });
      if (status !== 200) throw new Violation("TORN", `${register} is there, but ${path} answers ${status}`);
    }
    const subject = this.#history.subjects.get(digest);
    if (subject === undefined) return;
    const list = await client.expect([200], "GET", `/v2/${repository}/referrers/${subject}`);
    if (!list.body.includes(digest))
      throw new Violation("TORN", `${register} is not among the referrers of ${subject}`);
  }

  async #checkUpload(upload: Upload, observed: ReadonlyMap<Register, Value>): Promise<void> {
    const { path, repository, blob, ending, sizes } = upload;
    const { status, headers } = await this.#any().expect([204, 404], "GET", path);
    const register = this.#history.register("blob", repository, blob.digest);
    const isThere = observed.get(register) === PRESENT;
    if (status === 404) {
      if (ending === undefined) throw new Violation("LOSS", `upload ${path} of ${sizes.join(" or ")} bytes is gone`);
      // Its PUT was never acknowledged: the blob may have come into being and been collected since, but never just be gone.
      if (ending === "finish" && !isThere && !this.#history.mayBeGone(register))
        throw new Violation("TORN", `upload ${path} ended, but ${register} is not there`);
      this.#history.uploads.delete(path);
      return;
    }
    const end = Number(/^0-(\d+)$/.exec(String(headers.range))?.[1]);
    const size = end === 0 ? 0 : end + 1;
    if (!sizes.includes(size)) {
      throw new Violation(
        "LOSS",
        `upload ${path} should have ${sizes.join(" or ")} bytes, but answers ${headers.range}`,
      );
    }
    upload.sizes = [size];
    delete upload.ending;
  }

  async #checkTagList(repository: string, tags: readonly string[]): Promise<void> {
    const { status, body } = await this.#any().expect([200, 404], "GET", `/v2/${repository}/tags/list`);
    const listed = status === 404 ? [] : (JSON.parse(body.toString()) as { tags: string[] }).tags;
    if (listed.join() === [...tags].sort().join()) return;
    throw new Violation("TORN", `${repository} lists the tags ${listed.join()}, but ${tags.join()} can be read`);
  }
}

interface ManifestFields {
  readonly config?: { readonly digest: string };
  readonly layers?: readonly { readonly digest: string }[];
  readonly manifests?: readonly { readonly digest: string }[];
}

function judge(register: Register, value: Value, history: History): void {
  const allowed = register.allowed();
  if (history.mayBeGone(register)) allowed.add(undefined);
  if (allowed.has(value) || (allowed.has(ANY) && value !== undefined)) return;
  const words = [...allowed].map((each) => each ?? "nothing").join(" or ");
  throw new Violation("LOSS", `${register} should be ${words}, but is ${value ?? "not there"}`);
}

/** Without an answer all of an operation may be there, or nothing. Only what nobody else changed since can tell. */
function judgeWhole({ op, changes }: OpenOperation, observed: ReadonlyMap<Register, Value>): void {
  const telling = changes.filter(({ register, value, before }) => {
    return before !== value && before !== "unknown" && register.allowed().size === 2;
  });
  const done = telling.filter(({ register, value }) => observed.get(register) === value);
  if (done.length === 0 || done.length === telling.length) return;
  const words = telling.map(({ register }) => `${register}: ${observed.get(register) ?? "not there"}`);
  throw new Violation("TORN", `half of ${op} is there: ${words.join("; ")}`);
}

/** All tags are in every check. */
function tagLists(observed: ReadonlyMap<Register, Value>): [repository: string, tags: string[]][] {
  const lists = new Map<string, string[]>();
  for (const [{ kind, repository, name }, value] of observed) {
    if (kind !== "tag") continue;
    const list = lists.get(repository) ?? [];
    lists.set(repository, list);
    if (value !== undefined) list.push(name);
  }
  return [...lists];
}

/** Nothing is going on while we read: an answer that fails then is something half there. */
function toViolation(error: unknown): Violation {
  if (error instanceof Unavailable || error instanceof NoAnswer) return new Violation("RECOVERY", error.message);
  if (error instanceof Violation) return error.kind === "ANSWER" ? new Violation("TORN", error.message) : error;
  throw error;
}
