import { z } from "zod";
import type { RestOperation } from "../../http/rest-operation.ts";
import type { JsonObject } from "../../oci/json.ts";
import { listQuery, listView, type ViewDeps } from "./list-view.ts";
import { labelsOf, nameOf, placeOf } from "./services.ts";
import { maySee, type Viewer } from "./viewer.ts";
import { listAt, textAt } from "./wire.ts";

export type Sealed = "secret" | "config";

const sealedSchema = z.strictObject({
  id: z.string(),
  name: z.string(),
  environment: z.string().optional(),
  stack: z.string().optional(),
  labels: z.record(z.string(), z.string()),
  services: z.array(z.string()).describe("that use it, of those that you may see"),
  createdAt: z.string(),
  updatedAt: z.string(),
});

/** `secrets` and `configs`. What is in them is written and never shown: of configs the engine would tell, and is not asked to. */
export function listSealed(deps: ViewDeps, what: Sealed): RestOperation {
  return listView(deps, {
    ...{ name: `${what}s`, summary: `Names of ${what}s`, entry: sealedSchema, query: listQuery },
    keyOf: ({ name, id }) => `${name}/${id}`,
    read: async (viewer) => {
      const [held, services] = await Promise.all([deps.manager.list(`/${what}s`), deps.manager.list("/services")]);
      const visible = held.filter((one) => maySee(viewer, labelsOf(one)));
      return { entries: visible.map((one) => toView(one, usersOfSealed(one, services, what), viewer)) };
    },
  });
}

/** Services that mount it, as the engine has them. */
export function usersOfSealed(sealed: JsonObject, services: readonly JsonObject[], what: Sealed): JsonObject[] {
  const [list, id] = what === "secret" ? ["Secrets", "SecretID"] : ["Configs", "ConfigID"];
  return services.filter((service) =>
    listAt(service, "Spec", "TaskTemplate", "ContainerSpec", list).some(
      (entry) => textAt(entry, id) === textAt(sealed, "ID"),
    ),
  );
}

function toView(sealed: JsonObject, users: readonly JsonObject[], viewer: Viewer): z.infer<typeof sealedSchema> {
  const labels = labelsOf(sealed);
  return {
    ...{ id: textAt(sealed, "ID"), name: nameOf(sealed), ...placeOf(labels), labels },
    services: users
      .filter((service) => maySee(viewer, labelsOf(service)))
      .map(nameOf)
      .toSorted(),
    createdAt: textAt(sealed, "CreatedAt"),
    updatedAt: textAt(sealed, "UpdatedAt"),
  };
}
