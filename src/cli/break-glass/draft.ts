import { MAX_BREAK_GLASS_MS, parseBreakGlassStatement } from "../../trust/break-glass-statement.ts";
import { TrustError } from "../../trust/error.ts";
import type { LocalCall } from "../command.ts";
import { findRegistry } from "../connection.ts";
import { UsageError } from "../errors.ts";
import { parseDuration } from "../paths.ts";
import { parseImage } from "../trust/image.ts";

/** `goldseal break-glass draft IMAGE@DIGEST --environment E --reason TEXT`: what is to be signed, as it is signed. */
export async function draftStatement({ args: [name = ""], options, env, io }: LocalCall): Promise<void> {
  const { environment, reason, expires = "4h" } = options;
  if (typeof environment !== "string") throw new UsageError("--environment NAME: where may it run?");
  if (typeof reason !== "string") throw new UsageError("--reason TEXT: why must it run?");
  const image = parseImage(name);
  if (image.digest === undefined || image.tag !== undefined)
    throw new UsageError(
      `${name} names no image by its digest alone: what is signed must not come to mean something else. It is like ops/app@sha256:…`,
    );
  const lifeMs = parseDuration(String(expires)) * 1000;
  if (lifeMs > MAX_BREAK_GLASS_MS) throw new UsageError("--expires: a statement is good for 24h at most");
  const host = image.host ?? (await findRegistry(options, env)).url.host;
  const now = Math.floor(Date.now() / 1000) * 1000;
  const statement = {
    ...{ environment, image: `${host}/${image.repository}@${image.digest}`, reason },
    issued: new Date(now).toISOString(),
    expires: new Date(now + lifeMs).toISOString(),
  };
  const bytes = Buffer.from(`${JSON.stringify(statement, undefined, 2)}\n`);
  mustBeGood(bytes);
  io.stdout.write(bytes);
}

/** Whatever the bridge would not read. @throws UsageError */
function mustBeGood(bytes: Buffer): void {
  try {
    parseBreakGlassStatement(bytes);
  } catch (error) {
    if (error instanceof TrustError) throw new UsageError(error.message);
    throw error;
  }
}
