import { z } from "zod";
import type { RestOperation } from "../../http/rest-operation.ts";
import { listQuery, listView, type ViewDeps } from "./list-view.ts";
import { readContext, readServices, type Service, toService } from "./services.ts";

const stackSchema = z.strictObject({
  name: z.string(),
  environment: z.string().optional(),
  services: z.array(z.string()),
  networks: z.array(z.string()).describe("that its services hang on"),
  running: z.int(),
  wanted: z.int(),
  states: z.array(z.string()).describe("what the watch says of its services"),
});
type Stack = z.infer<typeof stackSchema>;

export function listStacks(deps: ViewDeps): RestOperation {
  return listView(deps, {
    ...{ name: "stacks", summary: "Stacks", entry: stackSchema, query: listQuery },
    keyOf: ({ name, environment = "" }) => `${name}/${environment}`,
    read: async (viewer) => {
      const [services, context] = await Promise.all([readServices(deps, viewer), readContext(deps)]);
      const views = services.map((service) => toService(service, context)).filter(({ stack }) => stack !== undefined);
      const stacks = Object.groupBy(views, ({ stack, environment = "" }) => `${stack}/${environment}`);
      return { entries: Object.values(stacks).flatMap((own = []) => toStack(own)) };
    },
  });
}

function toStack(services: readonly Service[]): Stack[] {
  const [first] = services;
  if (first?.stack === undefined) return [];
  const all = (values: readonly string[]): string[] => [...new Set(values)].toSorted();
  const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
  return [
    {
      ...{ name: first.stack, ...(first.environment && { environment: first.environment }) },
      services: all(services.map(({ name }) => name)),
      networks: all(services.flatMap(({ networks }) => networks)),
      running: sum(services.map(({ running }) => running)),
      wanted: sum(services.map(({ wanted = 0 }) => wanted)),
      states: all(services.flatMap(({ state }) => (state === undefined ? [] : [state]))),
    },
  ];
}
