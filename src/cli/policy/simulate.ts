import { isJsonObject, type JsonObject } from "../../oci/json.ts";
import type { CommandCall } from "../command.ts";
import { toText, writeList } from "../table.ts";

/** What a policy would refuse now of what is tagged; it need not be there yet. */
export async function simulatePolicy(call: CommandCall, path: string, policy: JsonObject): Promise<void> {
  const { client, args, io } = call;
  const [org, name] = args;
  const refused: JsonObject[] = [];
  let judged = 0;
  for (let next: string | undefined = `${path}/simulate`; next !== undefined; ) {
    const { body } = await client.call("POST", next, `try policy ${name} of ${org}`, policy);
    refused.push(...(Array.isArray(body.refused) ? body.refused.filter(isJsonObject) : []));
    judged += Number(body.judged);
    next = typeof body.next === "string" ? body.next : undefined;
  }
  writeList(call, refused, {
    image: ({ repository, tag }) => `${toText(repository)}:${toText(tag)}`,
    why: ({ missing }) => (Array.isArray(missing) ? missing.map(toText).join("; ") : "-"),
  });
  io.stderr.write(`policy ${name} of ${org} would refuse ${refused.length} of ${judged} tags; nothing is changed\n`);
}
