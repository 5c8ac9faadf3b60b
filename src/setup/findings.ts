import type { Finding } from "./doctor.ts";

export function ok(subject: string, text: string): Finding {
  return { verdict: "ok", subject, text };
}

export function warning(subject: string, text: string, mend: string): Finding {
  return { verdict: "warning", subject, text, mend };
}

export function wrong(subject: string, text: string, mend?: string): Finding {
  return { verdict: "wrong", subject, text, ...(mend !== undefined && { mend }) };
}

/** Something that could not be looked at, because of what is wrong elsewhere. */
export function unseen(subject: string, why: string): Finding {
  return { verdict: "unseen", subject, text: `not looked at: ${why}` };
}
