import { UsageError } from "../errors.ts";

/** How rules are written on the command line. */
export const REQUIRE_HELP =
  "who must have signed: acme/qa, acme/qa:2 for two of them, acme/qa@qa/{name} for where, *=either for anybody or a server";

const ROW = /^([^:@=]+)(?::(\d{1,2}))?(?:@([^=]+))?(?:=(client-key|server-attested|either))?$/;

/** A list such as `acme/qa:2@qa/{name},*=either`; `*` is everybody. @throws UsageError */
export function readRequire(value: string | boolean | undefined) {
  return listOf(value).map((text) => {
    const [, team = "", k = "1", gun, class_] = ROW.exec(text) ?? [];
    if (team === "")
      throw new UsageError(
        `--require: ${JSON.stringify(text)} is not like acme/qa, acme/qa:2, acme/qa@qa/{name} or *=either`,
      );
    return {
      ...(team === "*" ? {} : { team }),
      k: Number(k),
      ...(class_ === undefined ? {} : { class: class_ }),
      ...(gun === undefined ? {} : { gun }),
    };
  });
}

/** Of an option with commas in it. */
export function listOf(value: string | boolean | undefined): string[] {
  return typeof value === "string" ? value.split(",").map((part) => part.trim()) : [];
}
