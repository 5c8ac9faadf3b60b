/** Reads the JUnit report of the official suite: the only one of its reports that tells each test's fate. */

export interface OciCase {
  readonly name: string;
  readonly status: "passed" | "skipped" | "failure" | "error";
  /** What the suite said about it, on one line. */
  readonly why: string;
}

export interface OciReport {
  readonly passed: number;
  /** Failures of the registry and errors of the suite itself. */
  readonly failed: number;
  /** What the suite could not ask because the registry said that it lacks a feature. */
  readonly skipped: number;
  /** Switched off by our configuration: `sparse`. */
  readonly disabled: number;
  /** The cases that did not pass, without the disabled. */
  readonly open: readonly OciCase[];
}

/** JUnit knows only "skipped"; this is how the suite says that our own configuration switched the case off. */
const DISABLED = "is disabled in the configuration";

/** @throws Error when the text is not the suite's report, or a report of a run in which nothing ran */
export function parseJunit(xml: string): OciReport {
  const suite = /<testsuite [^>]*>/.exec(xml)?.[0];
  if (!suite) throw new Error("no <testsuite> in junit.xml");
  const count = (name: string) => Number(new RegExp(` ${name}="(\\d+)"`).exec(suite)?.[1] ?? 0);
  const failed = count("failures") + count("errors");
  const [skipped, disabled] = [count("skipped"), count("disabled")];
  const passed = count("tests") - failed - skipped - disabled;
  if (passed <= 0) throw new Error("the official suite passed no test");
  const open = parseCases(xml).filter(({ status, why }) => status !== "passed" && !why.includes(DISABLED));
  return { passed, failed, skipped, disabled, open };
}

function parseCases(xml: string): OciCase[] {
  const cases = xml.matchAll(/<testcase name="([^"]*)"[^>]* status="(\w+)"[^>]*>(.*?)<\/testcase>/gs);
  return [...cases].map(([, name = "", status = "", body = ""]) => ({
    name: decodeEntities(name).replace(/^OCI Conformance Test\//, ""),
    status: status as OciCase["status"],
    why: decodeEntities(/<system-out>(.*?)<\/system-out>/s.exec(body)?.[1] ?? lastLines(body))
      .replace(/\s+/g, " ")
      .trim()
      .slice(0, 400),
  }));
}

/** A skipped case says why only at the end of its log. */
const lastLines = (body: string): string =>
  (/<system-err>(.*?)<\/system-err>/s.exec(body)?.[1] ?? "").trim().split("&#xA;").slice(-3).join(" ");

const decodeEntities = (text: string): string =>
  text.replace(/&(?:#x([0-9A-Fa-f]+)|#(\d+)|lt|gt|quot|amp|apos);/g, (entity, hex?: string, dec?: string) => {
    if (hex) return String.fromCodePoint(Number.parseInt(hex, 16));
    if (dec) return String.fromCodePoint(Number(dec));
    return { "&lt;": "<", "&gt;": ">", "&quot;": '"', "&amp;": "&", "&apos;": "'" }[entity] ?? entity;
  });
