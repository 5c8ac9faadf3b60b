import { readFile } from "node:fs/promises";
import { isJsonObject, JsonError, parseJson } from "../../oci/json.ts";
import {
  BREAK_GLASS_TYPE,
  type BreakGlassStatement,
  parseBreakGlassStatement,
} from "../../trust/break-glass-statement.ts";
import { parseEnvelope } from "../../trust/dsse.ts";
import { TrustError } from "../../trust/error.ts";
import { CliError } from "../errors.ts";
import type { SignableFile } from "../signed-file.ts";

export interface StatementFile extends SignableFile {
  readonly bytes: Buffer;
  readonly statement: BreakGlassStatement;
}

/** A draft, or what was signed already. @throws CliError */
export async function readStatement(path: string): Promise<StatementFile> {
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw new CliError(`cannot read ${path}`, { cause });
  });
  try {
    const value = parseJson(bytes);
    const envelope = isJsonObject(value) && "payloadType" in value ? parseEnvelope(bytes) : undefined;
    if (envelope !== undefined && envelope.payloadType !== BREAK_GLASS_TYPE)
      throw new CliError(`${path} holds ${envelope.payloadType}, not ${BREAK_GLASS_TYPE}`);
    const payload = envelope?.payload ?? bytes;
    const statement = parseBreakGlassStatement(payload);
    return { name: path, bytes, envelope, payload, payloadType: BREAK_GLASS_TYPE, statement };
  } catch (cause) {
    if (cause instanceof TrustError || cause instanceof JsonError)
      throw new CliError(`${path} is no break-glass statement: ${cause.message}`, { cause });
    throw cause;
  }
}
