/** One thing that was looked at: whether it holds, and the mend when it does not. */
export interface Finding {
  readonly verdict: "ok" | "warning" | "wrong";
  readonly subject: string;
  readonly text: string;
  readonly mend?: string;
}

const MARK = { ok: "ok     ", warning: "warning", wrong: "WRONG  " } as const;

/** `goldseal doctor`: prints each finding with its mend. Answers 0 when nothing is wrong, else 1. */
export function reportFindings(findings: readonly Finding[], say: (line: string) => void): number {
  for (const { verdict, subject, text, mend } of findings) {
    say(`${MARK[verdict]} ${subject.padEnd(12)} ${text}`);
    if (mend !== undefined) say(`${" ".repeat(21)}mend: ${mend}`);
  }
  const wrong = findings.filter(({ verdict }) => verdict === "wrong").length;
  const warnings = findings.filter(({ verdict }) => verdict === "warning").length;
  say(`${findings.length} looked at, ${wrong} wrong, ${warnings} ${warnings === 1 ? "warning" : "warnings"}`);
  return wrong === 0 ? 0 : 1;
}
