/** Each operation as requests: what it sends, what it answers where it is allowed, and where there is nothing to do it to. */
import { randomUUID } from "node:crypto";
import { CONFIG, digestOf, IMAGE, INDEX, indexOf, LAYER, LOOSE, MANIFEST } from "./content.ts";
import type { OperationName } from "./oracle.ts";
import { REST_OPERATIONS } from "./rest-operations.ts";
import type { Signed } from "./trust-data.ts";
import { TRUST_OPERATIONS } from "./trust-operations.ts";
import type { Ask } from "./wire.ts";
import { HIDDEN_BLOB, SOURCE_BLOB, SOURCES, scopeOf } from "./world.ts";

/** What a cell's requests are aimed at. */
export interface Place {
  readonly name: string;
  readonly exists: boolean;
  readonly allowed: boolean;
  /** Path of an upload: the actor's own where it may have one, somebody else's, or of none. */
  readonly upload: string;
  /** A repository that the actor may not read. */
  readonly unreadable: string;
  /** Something that no other cell says. */
  readonly mark: string;
  readonly trust: Signed;
}

export interface Step {
  readonly sent: readonly [method: string, path: string, ask?: Ask];
  /** The status where it is allowed, with its code where that is an error. */
  readonly ok: number;
  readonly code?: string;
  /** Where the right is there and the repository is not. */
  readonly missing?: readonly [status: number, code: string];
  /** Where the repository could be made, were its name not kept for another. */
  readonly kept?: readonly [status: number, code: string];
}

export interface Operation {
  /** Ids of the routes it goes through. */
  readonly routes: readonly string[];
  /** REST takes no registry token; it and the signing service say no in their own words. */
  readonly kind: "registry" | "rest" | "trust";
  /** What a token must name: for trust data of the GUN, else of the repository. */
  readonly token: "pull" | "push" | "delete" | "push,pull" | "*";
  /** Refused reads of what is hidden answer as reads of what is missing: 404. */
  readonly isRead: boolean;
  /** Who signs there is heard without a token to push: what is sent may be there already. */
  readonly orUnchanged?: true;
  /** Leaves something behind: where it is allowed it needs a repository of its own. */
  readonly changes: boolean;
  /** Other repositories that the token must name for pulling. */
  readonly sources: readonly string[];
  /** The actor begins an upload first, where it may. */
  readonly needsUpload: boolean;
  /** The repository of its own is signed first. */
  readonly needsTrust: boolean;
  steps(place: Place): readonly Step[];
}

const READ = {
  ...({ kind: "registry", token: "pull", isRead: true, changes: false } as const),
  ...{ sources: [], needsUpload: false, needsTrust: false },
} as const;
const WRITE = { ...READ, token: "push", isRead: false, changes: true } as const;
const DELETION = { ...WRITE, token: "delete" } as const;

const [MANIFEST_UNKNOWN, BLOB_UNKNOWN, NAME_UNKNOWN] = [
  [404, "MANIFEST_UNKNOWN"] as const,
  [404, "BLOB_UNKNOWN"] as const,
  [404, "NAME_UNKNOWN"] as const,
];
/** "The registry MUST NOT return a 404 Not Found to a referrers API request." @see distribution-spec v1.1 "Listing Referrers" */
const NO_REFERRERS = [200, ""] as const;
const NO_UPLOAD = [404, "BLOB_UPLOAD_UNKNOWN"] as const;
/** The answer to HEAD has no body to read a code in. */
const withoutBody = ([status]: readonly [number, string]) => [status, ""] as const;

const manifestPath = (name: string, reference: string) => `/v2/${name}/manifests/${reference}`;
const blobPath = (name: string, content: string) => `/v2/${name}/blobs/${digestOf(content)}`;
const uploadsPath = (name: string, query = "") => `/v2/${name}/blobs/uploads/${query}`;

const getManifest = (method: string, reference: string): Operation => ({
  ...READ,
  routes: ["end-3"],
  steps: ({ name }) => {
    const missing = method === "HEAD" ? withoutBody(MANIFEST_UNKNOWN) : MANIFEST_UNKNOWN;
    return [{ sent: [method, manifestPath(name, reference), { headers: { accept: MANIFEST } }], ok: 200, missing }];
  },
});

const getBlob = (method: string, ok = 200, headers: Readonly<Record<string, string>> = {}): Operation => ({
  ...READ,
  routes: ["end-2"],
  steps: ({ name }) => {
    const missing = method === "HEAD" ? withoutBody(BLOB_UNKNOWN) : BLOB_UNKNOWN;
    return [{ sent: [method, blobPath(name, LAYER), { headers }], ok, missing }];
  },
});

const onUpload = (route: string, ok: number, method: string, body?: string, query = ""): Operation => ({
  ...WRITE,
  routes: [route],
  needsUpload: true,
  steps: ({ upload }) => [
    { sent: [method, `${upload}${query}`, body === undefined ? {} : { body }], ok, kept: NO_UPLOAD },
  ],
});

const mount = (ok: number, content: string, sources: readonly string[], from: (place: Place) => string): Operation => ({
  ...WRITE,
  routes: ["end-4"],
  sources,
  steps: (place) => [{ sent: ["POST", uploadsPath(place.name, `?mount=${digestOf(content)}${from(place)}`)], ok }],
});

const putManifest = (reference: (text: string) => string, subject?: string): Operation => ({
  ...WRITE,
  routes: ["end-7"],
  orUnchanged: true,
  steps: ({ name, mark }) => {
    const body = indexOf(mark, subject);
    return [{ sent: ["PUT", manifestPath(name, reference(body)), { body, type: INDEX }], ok: 201 }];
  },
});

/** What every repository of the world has under this tag. */
const putUnchanged: Operation = {
  ...putManifest(() => "list"),
  steps: ({ name }) => [
    { sent: ["PUT", manifestPath(name, "list"), { body: indexOf("list", IMAGE), type: INDEX }], ok: 201 },
  ],
};

const deletion = (route: string, path: (name: string) => string, missing: Step["missing"]): Operation => ({
  ...DELETION,
  routes: [route],
  steps: ({ name }) => [{ sent: ["DELETE", path(name)], ok: 202, ...(missing && { missing }) }],
});

/** Three operations are no plain requests: special-cells.ts has them. */
export type PlainName = Exclude<OperationName, "GET /v2/" | "catalog" | "token request">;

export const PLAIN: Readonly<Record<PlainName, Operation>> = {
  "tags list": {
    ...READ,
    routes: ["end-8"],
    steps: ({ name }) => [{ sent: ["GET", `/v2/${name}/tags/list`], ok: 200, missing: NAME_UNKNOWN }],
  },
  "manifest GET by tag": getManifest("GET", "v1"),
  "manifest GET by digest": getManifest("GET", digestOf(IMAGE)),
  "manifest HEAD": getManifest("HEAD", "v1"),
  "blob GET": getBlob("GET"),
  "blob HEAD": getBlob("HEAD"),
  "blob Range": getBlob("GET", 206, { range: "bytes=2-6" }),
  referrers: {
    ...READ,
    routes: ["end-12"],
    steps: ({ name }) => [
      { sent: ["GET", `/v2/${name}/referrers/${digestOf(IMAGE)}`], ok: 200, missing: NO_REFERRERS },
    ],
  },
  "upload POST": {
    ...WRITE,
    routes: ["end-4"],
    steps: ({ name }) => [{ sent: ["POST", uploadsPath(name)], ok: 202 }],
  },
  "upload POST ?digest": {
    ...WRITE,
    routes: ["end-4"],
    steps: ({ name, mark }) => [
      { sent: ["POST", uploadsPath(name, `?digest=${digestOf(mark)}`), { body: mark }], ok: 201 },
    ],
  },
  "upload PATCH": onUpload("end-5", 202, "PATCH", "some bytes"),
  "upload status": onUpload("end-13", 204, "GET"),
  "upload PUT": onUpload("end-6", 201, "PUT", CONFIG, `?digest=${digestOf(CONFIG)}`),
  "upload DELETE": onUpload("end-14", 204, "DELETE"),
  "mount, source readable": mount(201, SOURCE_BLOB, [SOURCES.readable], () => `&from=${SOURCES.readable}`),
  "mount, source unreadable": mount(
    202,
    HIDDEN_BLOB,
    [SOURCES.unreadable, SOURCES.missing],
    (place) => `&from=${place.unreadable}`,
  ),
  "mount, no from": mount(201, SOURCE_BLOB, [], () => ""),
  "manifest PUT new tag": putManifest(() => "fresh"),
  "manifest PUT overwrite": putManifest(() => "v1"),
  "manifest PUT unchanged": putUnchanged,
  "manifest PUT by digest": putManifest((text) => digestOf(text)),
  "manifest PUT with subject": putManifest((text) => digestOf(text), IMAGE),
  "DELETE tag": deletion("end-9", (name) => manifestPath(name, "v1"), MANIFEST_UNKNOWN),
  "DELETE digest": deletion("end-9", (name) => manifestPath(name, digestOf(indexOf("list", IMAGE))), MANIFEST_UNKNOWN),
  "DELETE blob": deletion("end-10", (name) => blobPath(name, LOOSE), BLOB_UNKNOWN),
  ...REST_OPERATIONS,
  ...TRUST_OPERATIONS,
};

export const noUpload = (name: string): string => `/v2/${name}/blobs/uploads/${randomUUID()}`;
/** A token for the GUN opens nothing of the repository, and the other way round. */
export const scopesOf = (
  { name, gun }: { name: string; gun: string },
  { kind, token, sources }: Operation,
): string[] =>
  kind === "trust" ? [scopeOf(gun, token)] : [scopeOf(name), ...sources.map((source) => scopeOf(source, "pull"))];
