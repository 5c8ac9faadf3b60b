/** What was asked and answered, for the table at the end, and what went wrong. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { projectRoot } from "../harness/server.ts";
import type { Fault, Property } from "./checks.ts";
import type { WireAnswer, WireRequest } from "./wire.ts";

const reportFolder = join(projectRoot, "conformance", ".report");
const maxFiles = 50;

const KINDS: readonly (readonly [kind: string, path: RegExp])[] = [
  ["uploads", /^\/v2\/.+\/blobs\/uploads\/?(\?|$)/],
  ["upload", /^\/v2\/.+\/blobs\/uploads\/[^/]+$/],
  ["blob", /^\/v2\/.+\/blobs\/[^/]+$/],
  ["manifest", /^\/v2\/.+\/manifests\/[^/]+$/],
  ["tags", /^\/v2\/.+\/tags\/list/],
  ["referrers", /^\/v2\/.+\/referrers\//],
  ["catalog", /^\/v2\/_catalog/],
  ["token", /^\/token/],
  ["rest", /^\/api\//],
];

/** A grammar that never gets these tests nothing behind the first check. */
const EXPECTED = [
  ...[
    "GET blob 200",
    "GET blob 206",
    "GET blob 304",
    "GET blob 404",
    "GET blob 416",
    "HEAD blob 200",
    "DELETE blob 202",
    "DELETE blob 409",
  ],
  ...[
    "GET manifest 200",
    "GET manifest 304",
    "HEAD manifest 200",
    "PUT manifest 201",
    "PUT manifest 400",
    "PUT manifest 413",
    "DELETE manifest 202",
  ],
  ...[
    "POST uploads 201",
    "POST uploads 202",
    "PATCH upload 202",
    "PATCH upload 416",
    "PUT upload 201",
    "PUT upload 400",
    "PUT upload 404",
  ],
  ...[
    "GET upload 204",
    "DELETE upload 204",
    "GET tags 200",
    "GET catalog 200",
    "GET catalog 400",
    "GET referrers 200",
    "GET token 200",
  ],
  ...["POST token 400", "GET rest 200", "PUT rest 200", "GET blob 401", "PUT manifest 401", "PUT manifest 403"],
];

export class Tally {
  requests = 0;
  /** Requests whose answer took more than a second, among all the others. */
  readonly slow: WireRequest[] = [];
  readonly faults = new Map<Property, string[]>();
  readonly #counts = new Map<string, number>();
  #files = 0;

  count(request: WireRequest, { status }: WireAnswer): void {
    this.#add(`${whatIsAsked(request)} ${status}`);
  }

  /** Kinds of answers that the grammar must reach and has not yet. */
  missing(): string[] {
    return EXPECTED.filter((kind) => !this.#counts.has(kind));
  }

  /** Whether an answer to this may be one that is missing. */
  isSought(request: WireRequest): boolean {
    const asked = `${whatIsAsked(request)} `;
    return this.missing().some((kind) => kind.startsWith(asked));
  }

  countRaw(name: string): void {
    this.#add(`bytes: ${name}`);
  }

  fail({ property, detail }: Fault, bytes: Buffer): void {
    const faults = this.faults.get(property) ?? [];
    this.faults.set(property, faults);
    faults.push(`${detail}\n  ${JSON.stringify(bytes.toString("latin1").slice(0, 2_000))}\n  ${this.#keep(bytes)}`);
  }

  noteSlow(request: WireRequest): void {
    this.slow.push(request);
  }

  /** @throws Error with what the grammar never reached */
  mustHaveSeen(): void {
    const missing = this.missing();
    if (missing.length > 0) throw new Error(`never seen: ${missing.join(", ")}`);
  }

  print(): void {
    const rows = [...this.#counts].sort(([a], [b]) => (a < b ? -1 : 1));
    console.log(`\n${rows.map(([kind, count]) => `${String(count).padStart(7)}  ${kind}`).join("\n")}`);
    console.log(`${String(this.slow.length).padStart(7)}  slower than 1 s, and asked again alone\n`);
  }

  #add(kind: string): void {
    this.requests++;
    this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + 1);
  }

  /** For `--replay`. */
  #keep(bytes: Buffer): string {
    if (this.#files >= maxFiles) return "";
    mkdirSync(reportFolder, { recursive: true });
    const file = join(reportFolder, `fuzz-${++this.#files}.bin`);
    writeFileSync(file, bytes);
    return `npm run fuzz -- --replay ${file}`;
  }
}

function whatIsAsked({ method, target }: WireRequest): string {
  return `${method} ${KINDS.find(([, path]) => path.test(target))?.[0] ?? "other"}`;
}
