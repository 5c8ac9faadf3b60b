import { z } from "zod";
import { bytes, forms, oneOrMore, section, whole, yesOrNo } from "./shapes.ts";

/** As a compose file means it: `source` of a volume is a name under the file's `volumes`. */
export type Mount =
  | {
      readonly type: "volume";
      readonly source?: string;
      readonly target: string;
      readonly readOnly: boolean;
      readonly noCopy: boolean;
    }
  | { readonly type: "bind"; readonly source: string; readonly target: string; readonly readOnly: boolean }
  | { readonly type: "tmpfs"; readonly target: string; readonly sizeBytes?: number; readonly mode?: number };

const RELATIVE = "a folder of a node is named from its root: nodes do not have the files of whoever deploys";

const short = z.string().transform((written, context): Mount => {
  const mount = toMount(written);
  if (typeof mount !== "string") return mount;
  context.addIssue(mount);
  return z.NEVER;
});

const long = section({
  type: z.enum(["volume", "bind", "tmpfs"], "volume, bind or tmpfs").default("volume"),
  source: z.string().optional(),
  target: z.string(),
  read_only: yesOrNo.default(false),
  volume: section({ nocopy: yesOrNo.default(false) }).optional(),
  bind: section({}).optional(),
  tmpfs: section({ size: bytes.optional(), mode: whole.optional() }).optional(),
}).transform(({ type, source, target, read_only: readOnly, volume, tmpfs }, context): Mount => {
  if (type === "tmpfs") return { type, target, ...sized(tmpfs?.size, tmpfs?.mode) };
  if (type === "volume") return { type, ...named(source), target, readOnly, noCopy: volume?.nocopy ?? false };
  if (source?.startsWith("/") === true) return { type, source, target, readOnly };
  context.addIssue(RELATIVE);
  return z.NEVER;
});

export const mounts = z.array(forms(short, long));

/** `/run`, `/run:size=64m,mode=1777`. */
export const tmpfs = oneOrMore.transform((lines, context): Mount[] =>
  lines.map((line) => {
    const mount = toTmpfs(line);
    if (mount !== undefined) return mount;
    context.addIssue(`${line}: a folder, and size= and mode= of it: /run:size=64m,mode=1777`);
    return z.NEVER;
  }),
);

/** `data:/data`, `/srv:/srv:ro`, `/data`; or why not. */
function toMount(written: string): Mount | string {
  const parts = written.split(":");
  const [source, target, options = ""] = parts.length === 1 ? [undefined, written] : parts;
  if (target === undefined || parts.length > 3) return "a volume is like data:/data, /srv/data:/data:ro or /data";
  const flags = options === "" ? [] : options.split(",");
  const odd = flags.find((flag) => !["ro", "rw", "nocopy"].includes(flag));
  if (odd !== undefined) return `Swarm does not have the option ${odd}`;
  const [readOnly, noCopy] = [flags.includes("ro"), flags.includes("nocopy")];
  if (source === undefined || !/^[./~]/.test(source))
    return { type: "volume", ...named(source), target, readOnly, noCopy };
  if (!source.startsWith("/")) return RELATIVE;
  return noCopy ? "nocopy is of volumes alone" : { type: "bind", source, target, readOnly };
}

function toTmpfs(line: string): Mount | undefined {
  const [, target = "", size, mode] = /^([^:]+)(?::(?:size=(\w+))?,?(?:mode=(\d{3,4}))?)?$/.exec(line) ?? [];
  const sizeBytes = size === undefined ? undefined : bytes.safeParse(size).data;
  if (target === "" || (size !== undefined && sizeBytes === undefined)) return undefined;
  return { type: "tmpfs", target, ...sized(sizeBytes, mode === undefined ? undefined : Number.parseInt(mode, 8)) };
}

const named = (source: string | undefined) => (source === undefined || source === "" ? {} : { source });

const sized = (sizeBytes: number | undefined, mode: number | undefined) => ({
  ...(sizeBytes === undefined || sizeBytes === 0 ? {} : { sizeBytes }),
  ...(mode === undefined ? {} : { mode }),
});
