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
