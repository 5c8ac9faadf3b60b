import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { make } from "./testing/shop.ts";
import { readYaml } from "./yaml-text.ts";

const root = join(import.meta.dirname, "..", "..");
const read = (...path: readonly string[]): string => readFileSync(join(root, ...path), "utf8");

interface Shipped {
  readonly services: Readonly<Record<string, { readonly secrets: readonly { readonly source: string }[] }>>;
  readonly secrets: Readonly<Record<string, unknown>>;
}

describe("deploy/stack.yml", () => {
  const { stack } = make(read("deploy", "stack.yml"));
  const { services, secrets } = stack as unknown as Shipped;

  it("is a stack of a registry and a bridge, which use every secret of it", () => {
    expect(Object.keys(services)).toEqual(["registry", "bridge"]);
    const used = Object.values(services).flatMap((service) => service.secrets.map(({ source }) => source));
    expect([...new Set(used)].sort()).toEqual(Object.keys(secrets).sort());
  });

  it("has the secrets that docs/deploying.md says how to make, and lets the policy allow", () => {
    const docs = read("docs", "deploying.md");
    const [, block = ""] = /```yaml\n(specLimits:[\s\S]*?)```/.exec(docs) ?? [];
    const { specLimits } = readYaml(block) as { specLimits: { secrets: string[] } };

    expect([...specLimits.secrets].sort()).toEqual(Object.keys(secrets).sort());
    const table = docs.split("\n").filter((line) => line.startsWith("| `goldseal-"));
    for (const name of Object.keys(secrets)) {
      const isNamed = table.some(
        (line) => line.includes(`\`${name}\``) || line.includes(`\`${name.replace(/\.key$/, ".crt")}\`, \`.key\``),
      );
      expect(isNamed, name).toBe(true);
    }
  });
});
