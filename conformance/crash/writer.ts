/** One of the writers: picks operations by weight until it is told to stop, and bears what a crash answers. */
import { setTimeout as wait } from "node:timers/promises";
import {
  breakOffUpload,
  cancelUpload,
  deleteBlob,
  leaveUpload,
  mountBlob,
  pushChunked,
  pushInPut,
  pushLikeDocker,
  pushShared,
  pushWhole,
  resumeOwn,
  resumeUpload,
} from "./blob-operations.ts";
import { type Client, NoAnswer, NobodyThere, Unavailable } from "./client.ts";
import { createHand, type Hand, type HandOptions } from "./hand.ts";
import { Refused, type Upload } from "./history.ts";
import {
  deleteManifest,
  deleteTag,
  moveSharedTag,
  moveTag,
  pushImage,
  pushIndex,
  pushManifest,
  pushMounted,
} from "./manifest-operations.ts";
import { changeGrant, changeUser, rotateKey } from "./rights-operations.ts";
import { deleteSigned, pushSigned } from "./signed-operations.ts";
import { deleteTrust, publishTrust } from "./trust-operations.ts";

/** How often each is picked, of all the weights together. */
const OPERATIONS: readonly (readonly [weight: number, operation: (hand: Hand) => Promise<void>])[] = [
  [10, pushWhole],
  [12, pushLikeDocker],
  [10, pushChunked],
  [6, pushInPut],
  [8, pushShared],
  [7, mountBlob],
  [4, pushMounted],
  [3, leaveUpload],
  [4, cancelUpload],
  [2, breakOffUpload],
  [14, pushManifest],
  [6, pushImage],
  [5, pushIndex],
  [8, moveTag],
  [7, moveSharedTag],
  [5, deleteTag],
  [5, deleteManifest],
  [6, deleteBlob],
  [12, publishTrust],
  [2, deleteTrust],
  [10, pushSigned],
  [4, deleteSigned],
  [6, changeGrant],
  [3, changeUser],
  [3, rotateKey],
];
const WEIGHTED = OPERATIONS.flatMap(([weight, operation]) => Array.from({ length: weight }, () => operation));
const EACH = [...OPERATIONS.map(([, operation]) => operation), resumeOwn];
const PAUSE_MS = 20;

export class Writer {
  readonly #parts: Omit<Hand, "client">;
  readonly #choice: readonly ((hand: Hand) => Promise<void>)[];

  /** `evenly`: what is done rarely as often as the rest, where there is not much time for all. */
  constructor({ evenly = false, ...options }: HandOptions & { readonly evenly?: boolean }) {
    this.#parts = createHand(options);
    this.#choice = evenly ? EACH : WEIGHTED;
  }

  /** Ends every one of `uploads`; nothing dies meanwhile. */
  async finishAll(client: Client, uploads: readonly Upload[]): Promise<void> {
    for (const upload of uploads) await resumeUpload(Object.assign(this.#parts, { client }), upload);
  }

  /** Works until the signal, or until nobody listens any more. First it finishes `uploads`, left by earlier cycles. */
  async work(client: Client, uploads: readonly Upload[], signal: AbortSignal): Promise<void> {
    // One object for ever: its lists are what it remembers between cycles.
    const hand = Object.assign(this.#parts, { client });
    const resume = uploads.map((upload) => () => resumeUpload(hand, upload));
    while (!signal.aborted) {
      try {
        await (resume.pop() ?? (() => hand.random.pick(this.#choice)?.(hand)))();
      } catch (error) {
        if (error instanceof NobodyThere) return;
        if (error instanceof Refused) continue;
        if (!(error instanceof NoAnswer) && !(error instanceof Unavailable)) throw error;
        await wait(PAUSE_MS);
      }
    }
  }
}
