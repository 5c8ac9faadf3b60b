/** Every route is tried by some operation, and no operation names a route that is gone. */
import { PLAIN } from "./operations.ts";
import { TOKEN_CREATE } from "./rest-cells.ts";
import { REST_ROWS } from "./rest-rows.ts";
import { findUndeclared, type TableRow } from "./route-table.ts";
import { SPECIAL } from "./special-cells.ts";

/** @throws Error that names them */
export function checkCoverage(table: readonly TableRow[]): void {
  const covered = new Set([
    ...Object.values(PLAIN).flatMap(({ routes }) => routes),
    ...Object.values(SPECIAL).flat(),
    ...Object.keys(REST_ROWS),
    TOKEN_CREATE,
  ]);
  const ids = new Set(table.map(({ id }) => id));
  const problems = [
    ...[...ids].filter((id) => !covered.has(id)).map((id) => `no operation covers the route ${id}`),
    ...[...covered].filter((id) => !ids.has(id)).map((id) => `there is no route ${id}`),
    ...findUndeclared(table).map((text) => `asks for no right on what it names: ${text}`),
  ];
  if (problems.length > 0) throw new Error(problems.join("\n"));
}
