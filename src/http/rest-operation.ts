import type { z } from "zod";
import { type Json, JsonError, type JsonObject, parseJson } from "../oci/json.ts";
import { matchesETag } from "./etag.ts";
import { empty, type Reply } from "./reply.ts";
import type { Request } from "./request.ts";
import { type Access, type Method, type Route, route } from "./route.ts";

/** Largest JSON body that the REST API takes. */
export const maxRestBodyBytes = 64 * 1024;

/** One endpoint of the REST API: what serves it, and what openapi.json says of it. */
export interface RestOperation {
  readonly route: Route;
  readonly summary: string;
  readonly body: z.ZodType | undefined;
  /** Of the query; what it does not name is refused. */
  readonly query: z.ZodObject | undefined;
  /** What it answers when all is well; undefined for an empty body. */
  readonly answers: Readonly<Record<number, z.ZodType | undefined>>;
  /** Whether it takes `If-Match` and `If-None-Match`: see precondition.ts. */
  readonly conditional?: boolean;
  /** What 200 holds for whoever asks for NDJSON, or for everybody where `answers` has no other form: one of these a line. */
  readonly lines?: z.ZodType;
}

interface Description extends Pick<RestOperation, "conditional" | "lines"> {
  readonly summary: string;
  readonly query?: z.ZodObject;
  readonly answers: Readonly<Record<number, z.ZodType | undefined>>;
}

export interface OperationSpec extends Description {
  act(request: Request): Promise<Reply>;
}

export interface BodyOperationSpec<B> extends Description {
  /** Strict: a field that it does not name is refused. */
  readonly body: z.ZodType<B>;
  /** Default: {@link maxRestBodyBytes}. */
  readonly maxBytes?: number;
  act(request: Request, body: B): Promise<Reply>;
}

type Where = readonly [id: string, method: Method, path: string, access: Access];

/** The access is judged before the handler runs, so a body is looked at only for those who may send one. */
export function operation(where: Where, { act, ...rest }: OperationSpec): RestOperation {
  const handler = async (request: Request) => {
    checkQuery(request, rest.query);
    return unlessKnown(request, await act(request));
  };
  return { query: undefined, ...rest, body: undefined, route: route(...where, handler) };
}

/** The schema that checks the body is the one that openapi.json shows. */
export function bodyOperation<B>(where: Where, spec: BodyOperationSpec<B>): RestOperation {
  const { act, body, maxBytes = maxRestBodyBytes, ...rest } = spec;
  const handler = async (request: Request) => {
    checkQuery(request, rest.query);
    return act(request, await readRestBody(request, body));
  };
  return { query: undefined, ...rest, body, route: route(...where, handler, { maxBodyBytes: maxBytes }) };
}

export interface BytesOperationSpec extends Description {
  /** For openapi.json; what checks the bytes is the handler. */
  readonly body: z.ZodType;
  readonly maxBytes: number;
  act(request: Request, body: Buffer): Promise<Reply>;
}

/** For what is kept as it came: the handler gets the body's bytes. */
export function bytesOperation(where: Where, { act, body, maxBytes, ...rest }: BytesOperationSpec): RestOperation {
  const handler = async (request: Request) => {
    checkQuery(request, rest.query);
    return act(request, await request.body());
  };
  return { query: undefined, ...rest, body, route: route(...where, handler, { maxBodyBytes: maxBytes }) };
}

/** A misspelt filter would show everything; PostgreSQL's text has no NUL. Throws the protocol's bad request. */
function checkQuery(request: Request, schema: z.ZodObject | undefined): void {
  const known = Object.keys(schema?.shape ?? {});
  for (const name of request.queryNames) {
    if (!known.includes(name)) throw request.badRequest(`there is no query parameter ${JSON.stringify(name)} here`);
    if (request.queryAll(name).some((value) => value.includes("\0"))) throw request.badRequest(`${name}: no NUL`);
  }
}

/** What the client has already is not sent again. @see RFC 9110 section 13.1.2 */
function unlessKnown(request: Request, reply: Reply): Reply {
  const { ETag: etag } = reply.headers;
  const isRead = request.method === "GET" || request.method === "HEAD";
  if (!isRead || typeof etag !== "string" || !matchesETag(request.header("if-none-match"), etag)) return reply;
  return empty(304, { ETag: etag });
}

/** Throws the protocol's bad request with everything that is wrong. */
async function readRestBody<T>(request: Request, schema: z.ZodType<T>): Promise<T> {
  const parsed = schema.safeParse(parseBytes(request, await request.body()));
  if (!parsed.success) throw request.badRequest(toText(parsed.error));
  request.asked = withoutSecrets(parsed.data);
  return parsed.data;
}

const SECRET = /password|secret|token/i;

/** For the record: what is called a secret is only said to be there. */
function withoutSecrets(body: unknown): JsonObject {
  if (typeof body !== "object" || body === null) return {};
  const fields = Object.entries(body).map(([name, value]) => [name, SECRET.test(name) ? "(secret)" : (value as Json)]);
  return { asked: Object.fromEntries(fields) };
}

/** Throws the protocol's bad request. */
export function readQuery<T extends z.ZodObject>(request: Request, schema: T): z.infer<T> {
  const names = Object.keys(schema.shape);
  const given = names.map((name) => [name, request.query(name)]).filter(([, value]) => value !== undefined);
  const parsed = schema.safeParse(Object.fromEntries(given));
  if (parsed.success) return parsed.data;
  throw request.badRequest(toText(parsed.error));
}

function toText({ issues }: z.ZodError): string {
  return issues.map(({ path, message }) => (path.length > 0 ? `${path.join(".")}: ${message}` : message)).join("; ");
}

function parseBytes(request: Request, body: Buffer): unknown {
  try {
    // zod wants plain objects; what the parser returns has no prototype and no key twice.
    return parseJson(body);
  } catch (error) {
    if (error instanceof JsonError) throw request.badRequest(`the body is not good JSON: ${error.message}`);
    throw error;
  }
}
