import { LRUCache } from "lru-cache";
import type { Request } from "../http/request.ts";
import type { Actor } from "../oci/access.ts";
import { OciError } from "../oci/error.ts";
import type { RepositoryName } from "../oci/repository-name.ts";
import type { IsContent } from "./content.ts";
import type { PolicyJudge } from "./judge-policies.ts";
import type { Image, ImageVerdict, PolicyVerdict } from "./policy-verdict.ts";
import type { VerdictsStore } from "./verdicts-store.ts";
import { parseStamp, type WatchStore } from "./watch-store.ts";

/** A manifest that somebody who may pull asks for. */
export interface Pull extends Image {
  /** What the look-up of its row read of the repository's policies; see storage/watch-column.ts. */
  readonly watch: string;
}

export interface PullDeps {
  readonly judge: PolicyJudge;
  readonly watch: WatchStore;
  readonly verdicts: VerdictsStore;
  readonly isContent: IsContent;
  /** Whether the actor may sign there, by right and not by what its token names. */
  readonly maySign: (actor: Actor, repository: RepositoryName) => Promise<boolean>;
  /** Somebody was given what a policy in mode `warn` would refuse. */
  readonly recordWarning: (request: Request, turn: ImageVerdict) => void;
  readonly authority: string;
  readonly now: () => Date;
}

/**
 * Judges a pull by the policies of the repository. Returns what to warn of; undefined where it is known already
 * that there is nothing: most pulls by far, and none of them waits for it.
 * @throws OciError DENIED where one in mode `enforce` refuses the image, for everybody who could not sign it
 */
export type CheckPull = (request: Request, pull: Pull) => Promise<readonly string[]> | undefined;

/** What all policies together make of an image, for as long as what it rests on is the same. */
interface Outcome {
  readonly watch: string;
  /** In ms. */
  readonly until: number;
  readonly refusing: readonly PolicyVerdict[];
  readonly warning: readonly PolicyVerdict[];
  /** Policies whose warning this process put on record, or found there. */
  readonly noticed: Set<number>;
}

const maxRemembered = 20_000;
const ALLOWED: readonly PolicyVerdict[] = [];

export function createCheckPull(deps: PullDeps): CheckPull {
  const outcomes = new LRUCache<string, Outcome>({ max: maxRemembered });
  const underWay = new Map<string, Promise<Outcome>>();
  const judgeAnew = async (request: Request, pull: Pull, name: string): Promise<readonly string[]> => {
    // Where no version says what it rests on, it is good for this one request.
    if (pull.watch === "") return answer(deps, request, pull, await judgePull(deps, pull));
    const outcome = await once(underWay, `${name} ${pull.watch}`, () => judgePull(deps, pull));
    outcomes.set(name, outcome);
    return answer(deps, request, pull, outcome);
  };
  return (request, pull) => {
    const name = `${pull.repositoryId} ${pull.tag ?? ""} ${pull.digest}`;
    const known = outcomes.get(name);
    if (known === undefined || known.watch !== pull.watch || deps.now().getTime() >= known.until)
      return judgeAnew(request, pull, name);
    if (known.refusing === ALLOWED && known.warning === ALLOWED) return undefined;
    return answer(deps, request, pull, known);
  };
}

/** A hundred nodes that pull one tag at the same moment ask one question. */
function once<T>(underWay: Map<string, Promise<T>>, name: string, work: () => Promise<T>): Promise<T> {
  const known = underWay.get(name);
  if (known !== undefined) return known;
  const begun = work().finally(() => underWay.delete(name));
  underWay.set(name, begun);
  return begun;
}

async function judgePull({ judge, watch, isContent }: PullDeps, pull: Pull): Promise<Outcome> {
  const stamp = parseStamp(pull.watch);
  if (stamp === undefined) await watch.settle(pull.repositoryId);
  const policies = await judge.applying(pull.repository, "pull", stamp);
  const verdicts = policies.length === 0 ? [] : await judge.judge(pull, policies, stamp);
  const refused = verdicts.filter(({ allowed }) => !allowed);
  const counts = refused.length > 0 && (await isContent(pull)) ? refused : [];
  const [refusing, warning] = [of(counts, "enforce"), of(counts, "warn")];
  const ends = verdicts.map(({ until }) => until?.getTime() ?? Number.POSITIVE_INFINITY);
  return { watch: pull.watch, until: Math.min(...ends), refusing, warning, noticed: new Set() };
}

function of(verdicts: readonly PolicyVerdict[], mode: string): readonly PolicyVerdict[] {
  const found = verdicts.filter(({ policy }) => policy.mode === mode);
  return found.length === 0 ? ALLOWED : found;
}

async function answer(
  deps: PullDeps,
  request: Request,
  pull: Pull,
  { refusing, warning, noticed }: Outcome,
): Promise<readonly string[]> {
  if (refusing.length > 0 && !(await deps.maySign(request.actor, pull.repository)))
    throw refuse(deps, request, pull, refusing);
  for (const verdict of warning.filter(({ policy }) => !noticed.has(policy.id))) {
    noticed.add(verdict.policy.id);
    await recordOnce(deps, request, pull, verdict);
  }
  const isSeen = request.actor.kind !== "anonymous";
  const told = [...refusing, ...warning].slice(0, maxTold);
  return told.map((verdict) => describe(deps, pull, verdict, isSeen).slice(0, maxWarningLength));
}

/** Not for every pull of the same image: once a day, whatever process serves it. */
async function recordOnce(deps: PullDeps, request: Request, pull: Pull, verdict: PolicyVerdict): Promise<void> {
  if (await deps.verdicts.notice(pull, verdict.policy.id, deps.now()))
    deps.recordWarning(request, { ...verdict, image: pull });
}

function refuse(deps: PullDeps, request: Request, pull: Pull, refusing: readonly PolicyVerdict[]): OciError {
  const isSeen = request.actor.kind !== "anonymous";
  const message = refusing
    .slice(0, maxTold)
    .map((verdict) => describe(deps, pull, verdict, isSeen))
    .join("; and ");
  const policies = refusing.map(({ policy, note }) => ({ policy: policy.name, missing: [...note.missing] }));
  request.judgement = { why: "policy", verdict: { policies } };
  return new OciError("DENIED", { message });
}

/** Policies that are told of, and sentences of each: clients read headers of 16 KiB. */
const maxTold = 4;
const maxSentences = 4;
const maxWarningLength = 1_000;

/** For the person at a docker client: what is missing, whose it is, and the command that mends it. */
function describe({ authority }: PullDeps, pull: Pull, { policy, note }: PolicyVerdict, isSeen: boolean): string {
  const name = `${authority}/${pull.repository}${pull.tag === undefined ? `@${pull.digest}` : `:${pull.tag}`}`;
  const sentences = (isSeen ? note.missing : note.told).slice(0, maxSentences);
  const verb = policy.mode === "enforce" ? "is refused by" : "is not what is asked for by";
  return `${name} ${verb} policy ${policy.name} of ${policy.org}: ${sentences.join("; ")}`;
}
