import { afterAll, beforeAll, expect } from "vitest";
import { openSigner, type Signer } from "../../notary/testing/signer.ts";
import { prove, taken, targetOf } from "../../notary/testing/states.ts";
import { delegate, entry } from "../../notary/tuf/testing/delegating.ts";
import { put } from "../../notary/tuf/testing/loose.ts";
import { ecdsaKey, type TestKey } from "../../notary/tuf/testing/test-key.ts";
import {
  describe as describeBytes,
  digestOf,
  OCI_INDEX,
  OCI_MANIFEST,
  pushBlob,
  pushParts,
  putManifest,
} from "../../testing/images.ts";
import { openTestApp, PASSWORD, type TestApp } from "../../testing/open-test-app.ts";
import type { SignatureManifest } from "../../trust/cosign-evidence.ts";

/** An image that was pushed. */
export interface Pushed {
  readonly digest: string;
  readonly bytes: Buffer;
  readonly target: unknown;
}

/**
 * The whole system: `ops` owns what is deployed, `qa` tests it. alice is in ops and its team gold, bob in qa and its team
 * testers, and both have proved a key. admin does everything else.
 */
export class Lab {
  readonly app: TestApp;
  readonly keys: Readonly<Record<"alice" | "bob", TestKey>> = { alice: ecdsaKey(), bob: ecdsaKey() };

  constructor(app: TestApp) {
    this.app = app;
  }

  async set(): Promise<void> {
    for (const org of ["ops", "qa"]) await this.app.addOrg(org);
    await this.join("ops", "gold", "alice");
    await this.join("qa", "testers", "bob");
    await prove(this.app, "alice", this.keys.alice);
    await prove(this.app, "bob", this.keys.bob);
  }

  async join(org: string, team: string, user: string): Promise<void> {
    await this.must("PUT", `orgs/${org}/members/${user}`, { role: "member" });
    await this.must("PUT", `orgs/${org}/teams/${team}`, {});
    await this.must("PUT", `orgs/${org}/teams/${team}/members/${user}`, {});
  }

  async rest(method: string, path: string, body?: object, as = "admin", headers = {}) {
    const sent = body === undefined ? { as, headers } : { as, headers, body: JSON.stringify(body) };
    const answer = await this.app.ask(method, `/api/v1/${path}`, sent);
    const text = answer.body.toString();
    return { status: answer.status, headers: answer.headers, body: text === "" ? undefined : JSON.parse(text) };
  }

  async must(method: string, path: string, body?: object, as = "admin") {
    const answer = await this.rest(method, path, body, as);
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer;
  }

  /** Verdicts on images of the repository are kept from now on. */
  async settled(repository: string): Promise<void> {
    const text = `select w.settled from verdict_repositories w join repositories r on r.id = w.repository_id where r.name = $1`;
    const isSettled = async () => (await this.app.database.query("", text, [repository]))[0]?.settled;
    await expect.poll(isSettled, { interval: 20 }).toBe(true);
  }

  async user(name: string): Promise<void> {
    await this.must("PUT", `users/${name}`, { password: PASSWORD });
  }

  place = (repository: string) => ({ app: this.app, as: "admin", repository });

  async push(repository: string, reference: string, name = reference): Promise<Pushed> {
    const { manifest } = await pushParts(this.place(repository), name);
    return this.put(repository, reference, JSON.stringify(manifest), OCI_MANIFEST);
  }

  /** An index of images that are there. */
  index(repository: string, reference: string, ...images: readonly Pushed[]): Promise<Pushed> {
    const manifests = images.map(({ bytes }) => describeBytes(bytes, OCI_MANIFEST));
    return this.put(
      repository,
      reference,
      JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }),
      OCI_INDEX,
    );
  }

  async put(repository: string, reference: string, text: string, contentType: string): Promise<Pushed> {
    const answer = await putManifest(this.place(repository), reference === "" ? digestOf(text) : reference, text, {
      contentType,
    });
    if (answer.status !== 201) throw new Error(`not pushed: ${answer.status} ${answer.body}`);
    const digest = digestOf(text);
    return { digest, bytes: Buffer.from(text), target: targetOf(digest, text.length) };
  }

  /** What cosign pushes for an image: under the tag `sha256-….sig`, or, with a subject, among the referrers. */
  async attach(repository: string, image: Pushed, { artifact, blobs }: SignatureManifest, as: "tag" | "referrer") {
    for (const bytes of blobs.values()) await pushBlob(this.place(repository), Buffer.from(bytes));
    await pushBlob(this.place(repository), "{}");
    const { layers } = JSON.parse(Buffer.from(artifact.bytes).toString());
    const config = describeBytes(
      "{}",
      as === "tag" ? "application/vnd.oci.image.config.v1+json" : "application/vnd.oci.empty.v1+json",
    );
    const subject = { artifactType: layers[0].mediaType, subject: describeBytes(image.bytes, OCI_MANIFEST) };
    const manifest = {
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      config,
      layers,
      ...(as === "referrer" ? subject : {}),
    };
    const reference = as === "tag" ? `${image.digest.replace(":", "-")}.sig` : "";
    return this.put(repository, reference, JSON.stringify(manifest), OCI_MANIFEST);
  }

  /** Trust data with a delegation for each of the people, and nothing signed yet. */
  async found(repository: string, people: Readonly<Record<string, TestKey>> = this.keys): Promise<Signer> {
    const signer = await openSigner(this.app, repository, "admin");
    const roles = Object.entries(people).map(([name, key]) => entry(`targets/${name}`, [key]));
    await taken(signer, [signer.part("targets", delegate(Object.values(people), ...roles))]);
    return signer;
  }

  /** `who` signs: the file of the delegation holds this one tag and the ones before it. */
  async sign(signer: Signer, who: string, tag: string, { target }: Pushed, key?: TestKey): Promise<void> {
    const by = key ?? this.keys[who as "alice" | "bob"];
    await taken(signer, [signer.repository.part(`targets/${who}`, put(["targets", tag], target), [by])]);
  }

  async unsign(signer: Signer, who: "alice" | "bob"): Promise<void> {
    await taken(signer, [signer.repository.part(`targets/${who}`, put(["targets"], {}), [this.keys[who]])]);
  }
}

/** For the tests of one file; nothing may be logged as an error. */
export function useLab() {
  let lab: Lab;
  const clock: { now: Date | undefined } = { now: undefined };
  beforeAll(async () => {
    lab = new Lab(await openTestApp({}, () => clock.now ?? new Date()));
    await lab.set();
  });
  afterAll(async () => {
    expect(lab.app.errors()).toEqual([]);
    await lab.app[Symbol.asyncDispose]();
  });
  return { lab: () => lab, clock };
}
