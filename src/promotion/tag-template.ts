import { isTag, type Tag } from "../oci/reference.ts";

const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS = [
  ...["January", "February", "March", "April", "May", "June"],
  ...["July", "August", "September", "October", "November", "December"],
];

const dayMs = 86_400_000;
const two = (value: number): string => String(value).padStart(2, "0");
const dayOfYear = (at: Date): number => Math.floor((at.getTime() - Date.UTC(at.getUTCFullYear(), 0, 1)) / dayMs) + 1;
/** Monday is 1, Sunday 7. */
const isoDay = (at: Date): number => at.getUTCDay() || 7;
/** A week belongs to the year that its Thursday is in. */
const thursdayOf = (at: Date): Date => new Date(at.getTime() + (4 - isoDay(at)) * dayMs);

/** In UTC. @see POSIX.1-2017 `strftime`, without what no tag can hold */
const CODES: Readonly<Record<string, (at: Date) => string>> = {
  Y: (at) => String(at.getUTCFullYear()),
  y: (at) => two(at.getUTCFullYear() % 100),
  m: (at) => two(at.getUTCMonth() + 1),
  d: (at) => two(at.getUTCDate()),
  H: (at) => two(at.getUTCHours()),
  I: (at) => two(at.getUTCHours() % 12 || 12),
  M: (at) => two(at.getUTCMinutes()),
  S: (at) => two(at.getUTCSeconds()),
  p: (at) => (at.getUTCHours() < 12 ? "AM" : "PM"),
  j: (at) => String(dayOfYear(at)).padStart(3, "0"),
  u: (at) => String(isoDay(at)),
  w: (at) => String(at.getUTCDay()),
  U: (at) => two(Math.floor((dayOfYear(at) + 6 - at.getUTCDay()) / 7)),
  W: (at) => two(Math.floor((dayOfYear(at) + 7 - isoDay(at)) / 7)),
  V: (at) => two(Math.ceil(dayOfYear(thursdayOf(at)) / 7)),
  G: (at) => String(thursdayOf(at).getUTCFullYear()),
  a: (at) => (DAYS[at.getUTCDay()] ?? "").slice(0, 3),
  A: (at) => DAYS[at.getUTCDay()] ?? "",
  b: (at) => (MONTHS[at.getUTCMonth()] ?? "").slice(0, 3),
  B: (at) => MONTHS[at.getUTCMonth()] ?? "",
  s: (at) => String(Math.floor(at.getTime() / 1000)),
};

/** `%n-%Y%m%d`: `%n` is the tag of the source, the rest is the time of the promotion. */
export function isTagTemplate(text: string): boolean {
  return fillTagTemplate(text, "n" as Tag, new Date(0)) !== undefined;
}

/** Undefined where no tag comes of it: it is too long, or holds a code that there is not. */
export function fillTagTemplate(template: string, source: Tag, at: Date): Tag | undefined {
  let isKnown = true;
  const filled = template.replace(/%(.?)/gs, (_, code: string) => {
    if (code === "n") return source;
    const write = Object.hasOwn(CODES, code) ? CODES[code] : undefined;
    isKnown &&= write !== undefined;
    return write?.(at) ?? "";
  });
  return isKnown && isTag(filled) ? filled : undefined;
}
