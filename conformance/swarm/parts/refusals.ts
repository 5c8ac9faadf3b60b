/** What the bridge must refuse, each with its reason, and the engine hear nothing of. */
import type { Report } from "../../harness/report.ts";
import { makeKey, makeOrder, type OrderOptions, type SigningKey } from "../signing.ts";
import type { World } from "../world.ts";

interface Refusal {
  readonly what: string;
  readonly spec: string;
  readonly order?: OrderOptions;
  readonly by?: SigningKey;
  /** Status, code and a part of the reason. */
  readonly expected: readonly [number, string, string];
}

export async function checkRefusals(report: Report, world: World, spec: (image: string, more?: object) => string) {
  const good = spec(world.image("1"));
  const bind = { mounts: [{ type: "bind", source: "/", target: "/host" }] };
  const signed = (more: object): string => spec(world.image("1"), more);
  const refusals: readonly Refusal[] = [
    {
      what: "an unsigned tag",
      spec: spec(world.image("unsigned")),
      expected: [403, "unsigned", "nothing that is signed as the tag unsigned"],
    },
    {
      what: "an image of another host",
      spec: spec("evil.example.com/ann/web:1"),
      expected: [400, "image", "is no image of"],
    },
    { what: "an image without its host", spec: spec("ann/web:1"), expected: [400, "image", "is no image of"] },
    { what: "a stranger's order", spec: good, by: makeKey(), expected: [403, "order", "does not know"] },
    {
      what: "an order for another specification",
      spec: good,
      order: { signedSpec: "{}" },
      expected: [403, "order", "another specification"],
    },
    {
      what: "an order for another environment",
      spec: good,
      order: { environment: "test" },
      expected: [403, "order", "is for test"],
    },
    {
      what: "an order for something else",
      spec: good,
      order: { action: "service.remove" },
      expected: [403, "order", "is for service.remove"],
    },
    { what: "an order that has expired", spec: good, order: { lifeSeconds: -1 }, expected: [403, "order", "expired"] },
    {
      what: "an order that never does",
      spec: good,
      order: { lifeSeconds: 86_400 },
      expected: [403, "order", "five minutes"],
    },
    {
      what: "a signed image with another command",
      spec: signed({ command: ["sh", "-c", "evil"] }),
      expected: [403, "spec", "a command of its own"],
    },
    {
      what: "a signed image with another entrypoint",
      spec: signed({ entrypoint: ["sh"] }),
      expected: [403, "spec", "an entrypoint of its own"],
    },
    { what: "a signed image with a mount of /", spec: signed(bind), expected: [403, "spec", "the node's /"] },
    {
      what: "a signed image on the host's network",
      spec: signed({ networks: ["host"] }),
      expected: [403, "spec", "the node's network"],
    },
    {
      what: "a signed image with a capability",
      spec: signed({ capabilities: { add: ["SYS_ADMIN"] } }),
      expected: [403, "spec", "SYS_ADMIN"],
    },
    { what: "what nobody looked at", spec: signed({ Privileges: {} }), expected: [403, "spec", "Privileges"] },
  ];
  for (const { what, spec: text, order, by = world.operator, expected } of refusals) {
    await report.check(`refused: ${what}`, async () => {
      const { status, last } = await world.order(text, makeOrder(text, by, order));
      const [wanted, code, reason] = expected;
      const isSo = status === wanted && last?.code === code && String(last?.detail).includes(reason);
      if (!isSo) throw new Error(`expected ${wanted} ${code} "${reason}", found ${status} ${JSON.stringify(last)}`);
    });
  }
  await report.check("refused: an order that was carried out before", async () => {
    const text = spec(world.image("unsigned"));
    const order = makeOrder(text, world.operator);
    const [first, second] = [await world.order(text, order), await world.order(text, order)];
    if (first.last?.code !== "unsigned" || second.last?.code !== "order")
      throw new Error(JSON.stringify([first, second]));
  });
  await report.check("of all that was refused the engine heard nothing", async () => {
    const services = await world.services();
    if (Object.keys(services).length > 0) throw new Error(JSON.stringify(services));
  });
}
