/** The REST API, as the administrator. */

import { setTimeout as wait } from "node:timers/promises";
import { type Client, NoAnswer, Unavailable } from "../crash/client.ts";

export type Wire = { readonly [name: string]: unknown };

export async function rest(client: Client, statuses: readonly number[], method: string, path: string, body?: object) {
  const sent = body === undefined ? {} : { body: Buffer.from(JSON.stringify(body)) };
  const answer = await client.expect(statuses, method, `/api/v1/${path}`, sent);
  const text = answer.body.toString();
  return { status: answer.status, body: (text === "" ? {} : JSON.parse(text)) as Wire };
}

/** Until somebody answers: what has no answer may have happened, and what is asked bears being asked again. */
export async function untilAnswered<T>(work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof NoAnswer || error instanceof Unavailable)) throw error;
      await wait(50 + Math.random() * 400);
    }
  }
}
