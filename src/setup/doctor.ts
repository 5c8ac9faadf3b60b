/** One thing that was looked at: whether it holds, and the mend when it does not. */
export interface Finding {
  readonly verdict: "ok" | "warning" | "wrong" | "unseen";
  readonly subject: string;
  readonly text: string;
  readonly mend?: string;
}

const MARK = { ok: "ok     ", warning: "warning", wrong: "WRONG  ", unseen: "-      " } as const;

/** `goldseal doctor`: prints each finding with its mend. Answers 0 when nothing is wrong, else 1. */
export function reportFindings(findings: readonly Finding[], say: (line: string) => void): number {
  for (const { verdict, subject, text, mend } of findings) {
    say(`${MARK[verdict]} ${subject.padEnd(12)} ${text}`);
    if (mend !== undefined) say(`${" ".repeat(21)}mend: ${mend}`);
  }
  const wrong = findings.filter(({ verdict }) => verdict === "wrong").length;
  const warnings = findings.filter(({ verdict }) => verdict === "warning").length;
  const seen = findings.filter(({ verdict }) => verdict !== "unseen").length;
  const rest = seen < findings.length ? `, ${findings.length - seen} not looked at` : "";
  say(`${seen} looked at, ${wrong} wrong, ${warnings} ${warnings === 1 ? "warning" : "warnings"}${rest}`);
  return wrong === 0 ? 0 : 1;
}
