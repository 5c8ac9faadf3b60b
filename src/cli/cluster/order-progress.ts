import { isJsonObject, type JsonObject } from "../../oci/json.ts";
import { toText } from "../table.ts";
import { describePlacement } from "./placement-table.ts";

/** What one line of progress says to people; none for what they need not see. */
export function describeProgress(progress: JsonObject): string[] {
  const { service, pinned, running, wanted, state } = progress;
  const what = [service, pinned].filter((part) => typeof part === "string").join(" ");
  if (typeof running === "number")
    return [`${what}: ${running} of ${toText(wanted ?? "all")} running, ${toText(state)}`];
  if (isJsonObject(progress.placement)) return describePlacement(progress.placement);
  if (typeof progress.made === "string") return [`made the ${progress.made}`];
  return [JSON.stringify(progress)];
}
