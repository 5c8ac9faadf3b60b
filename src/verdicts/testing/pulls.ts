import type { Lab } from "./lab.ts";

/** Pulls by bob, who may pull what is public; alice is of team gold. */
export function pullsOf(lab: () => Lab) {
  const repository = async (name: string): Promise<string> => {
    await lab().must("PUT", `orgs/ops/repositories/${name.replace("/", "%2F")}`, { visibility: "public" });
    return `ops/${name}`;
  };
  /** `as` null: nobody signs in. */
  const pull = async (of: string, reference: string, as: string | null = "bob", method = "GET") => {
    const ask = as === null ? {} : { as };
    const { status, headers, body } = await lab().app.ask(method, `/v2/${of}/manifests/${reference}`, ask);
    const text = body.toString();
    const { errors: [error] = [{}] } = status >= 400 && text !== "" ? JSON.parse(text) : {};
    const message = String(error.message).replace(/ \(decision \w+\)/, "");
    return { status, headers, text, code: error.code, message };
  };
  const statusOf = async (...asked: Parameters<typeof pull>) => (await pull(...asked)).status;
  return { repository, pull, statusOf };
}
