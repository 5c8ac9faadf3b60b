import { z } from "zod";
import { json, type Reply } from "../../http/reply.ts";
import type { Request } from "../../http/request.ts";
import { operation, type RestOperation, readQuery } from "../../http/rest-operation.ts";
import { pageQuery } from "../../http/rest-page.ts";
import { nameSchema } from "../../trust/require.ts";
import type { ClusterStates } from "../cluster-states.ts";
import type { EngineClient } from "../engine-client.ts";
import type { NodeEngines } from "./node-engines.ts";
import type { Viewer, Viewers } from "./viewer.ts";

export interface ViewDeps {
  /** A manager's API: reads alone. */
  readonly manager: Pick<EngineClient, "getObject" | "list" | "stream">;
  readonly engines: NodeEngines;
  readonly viewers: Viewers;
  /** What the watch saw last. */
  readonly watch: Pick<ClusterStates, "states">;
}

/** Whoever the relay names, as far as the policy lets: {@link Viewers} judges. */
export const LOOK = { kind: "open" } as const;

/** A node of which an answer holds nothing, and why. */
const unreachableSchema = z.strictObject({ node: z.string(), reason: z.string() });
export type Unreachable = z.infer<typeof unreachableSchema>;

/** What every view can be asked for. */
export const environmentQuery = z.object({ environment: nameSchema.optional().describe("only what belongs to it") });
export const listQuery = environmentQuery.extend({
  after: z.string().max(1024).default("").describe("the last key of the page before"),
  limit: pageQuery.shape.limit,
});

export const text = z.string().max(255).optional();

export interface Found<T> {
  /** In any order. */
  readonly entries: readonly T[];
  /** Only of views that ask each node. */
  readonly unreachable?: readonly Unreachable[];
}

interface ListView<Q extends z.ZodObject, T> {
  /** The last part of the path, and the field that holds the entries. */
  readonly name: string;
  readonly path?: string;
  readonly summary: string;
  readonly entry: z.ZodType<T>;
  /** {@link listQuery}, and filters of its own. */
  readonly query: Q;
  /** Unique; entries are in its ASCII order. */
  readonly keyOf: (entry: T) => string;
  /** Only what the viewer may see. */
  readonly read: (viewer: Viewer, query: z.infer<Q>, request: Request) => Promise<Found<T>>;
}

/** `GET /api/v1/cluster/NAME`: a page of what the cluster is now, with a link to the next. */
export function listView<Q extends z.ZodObject, T>({ viewers }: ViewDeps, view: ListView<Q, T>): RestOperation {
  const { name, path = name, summary, entry, query: schema } = view;
  const answer = z.strictObject({
    [name]: z.array(entry),
    unreachable: z.array(unreachableSchema).optional(),
    next: z.string().optional(),
  });
  const act = async (request: Request): Promise<Reply> => {
    const [page, query] = [readQuery(request, listQuery), readQuery(request, schema)];
    const viewer = await viewers.find(request, page.environment);

    const found = await view.read(viewer, query, request);

    return replyPage(request, page, view, found);
  };
  const id = `cluster-${path.replace("services/<service>/", "service-")}`;
  return operation([id, "GET", `/api/v1/cluster/${path}`, LOOK], {
    ...{ summary, query: schema, answers: { 200: answer }, act },
  });
}

function replyPage<T>(
  request: Request,
  { after, limit }: z.infer<typeof listQuery>,
  { name, keyOf }: { readonly name: string; readonly keyOf: (entry: T) => string },
  { entries, unreachable }: Found<T>,
): Reply {
  const keyed = entries.map((entry) => ({ key: keyOf(entry), entry })).filter(({ key }) => key > after);
  const rest = keyed.sort((one, other) => (one.key < other.key ? -1 : 1));
  const shown = rest.slice(0, limit);
  const wire = { [name]: shown.map(({ entry }) => entry), ...(unreachable && { unreachable }) };
  const last = shown.at(-1);
  if (last === undefined || rest.length <= limit) return json(200, wire);
  const next = `${request.path}?${nextQuery(request, last.key)}`;
  return json(200, { ...wire, next }, { Link: `<${next}>; rel="next"` });
}

/** What was asked for, from there on. */
function nextQuery(request: Request, after: string): URLSearchParams {
  const given = request.queryNames.map((name) => [name, request.query(name) ?? ""]);
  return new URLSearchParams({ ...Object.fromEntries(given), after });
}
