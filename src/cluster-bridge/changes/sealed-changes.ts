import type { JsonObject } from "../../oci/json.ts";
import type { ActionHandler, ActionTable } from "../actions.ts";
import type { Core } from "../core.ts";
import { BridgeError } from "../errors.ts";
import { ENVIRONMENT_LABEL, INTENT_LABEL } from "../managed-service.ts";
import { readBody } from "../order-body.ts";
import { type Sealed, usersOfSealed } from "../views/sealed-view.ts";
import { labelsOf, nameOf } from "../views/services.ts";
import { textAt } from "../views/wire.ts";
import { configSchema, removeSchema, type SealedBody, secretSchema } from "./bodies.ts";
import type { ChangeJournal } from "./change-journal.ts";
import { requireOwn } from "./own.ts";

type Manager = ReturnType<Core["engines"]["manager"]>;

/** Secrets and configs are written, and removed when no service uses them; what is in them never comes back. */
export function sealedActions({ engines }: Pick<Core, "engines">, journal: ChangeJournal): ActionTable {
  const manager = engines.manager();
  return {
    "secret.create": create(manager, journal, "secret"),
    "secret.remove": remove(manager, journal, "secret"),
    "config.create": create(manager, journal, "config"),
    "config.remove": remove(manager, journal, "config"),
  };
}

function create(manager: Manager, journal: ChangeJournal, kind: Sealed): ActionHandler {
  return (order, bytes) => {
    const body = readSealed(bytes, kind);
    const { name } = body;
    return journal.run(order, { kind, name }, async (change) => {
      const held = await manager.list(`/${kind}s`);
      if (held.some((one) => nameOf(one) === name))
        throw new BridgeError("CONFLICT", `there is a ${kind} ${name} already: it is replaced by one of another name`);

      const definition = toDefinition(body, { [ENVIRONMENT_LABEL]: order.environment, [INTENT_LABEL]: change.id });
      await change.tell(async () => {
        await manager.call("POST", `/${kind}s/create`, { body: Buffer.from(JSON.stringify(definition)) });
      });
      return { kind: "done", [kind]: name };
    });
  };
}

/** What is wrong with it is not repeated: it stands in the journal, and a member's name or a number may be the secret. */
function readSealed(bytes: Uint8Array, kind: Sealed): SealedBody {
  const [schema, limit] = kind === "secret" ? [secretSchema, "500 KiB"] : [configSchema, "700 KiB"];
  try {
    return readBody(bytes, schema, `the ${kind}`);
  } catch {
    throw new BridgeError("SPEC", `a ${kind} is {name, data, labels, salt}: data is up to ${limit} in base64`);
  }
}

function toDefinition({ name, data, labels }: SealedBody, own: Readonly<Record<string, string>>) {
  return { Name: name, Labels: { ...labels, ...own }, Data: data };
}

function remove(manager: Manager, journal: ChangeJournal, kind: Sealed): ActionHandler {
  return (order, bytes) => {
    const { name } = readBody(bytes, removeSchema, "the order's body");
    return journal.run(order, { kind, name }, async (change) => {
      const found = (await manager.list(`/${kind}s`)).filter((one) => nameOf(one) === name);
      const sealed = requireOwn({ kind, name }, found, labelsOf, order);
      refuseUsed(kind, name, usersOfSealed(sealed, await manager.list("/services"), kind));

      await change.tell(async () => {
        await manager.call("DELETE", `/${kind}s/${textAt(sealed, "ID")}`, { expected: [404] });
      });
      return { kind: "done", [kind]: name };
    });
  };
}

/** @throws BridgeError CONFLICT */
function refuseUsed(kind: Sealed, name: string, users: readonly JsonObject[]): void {
  if (users.length === 0) return;
  throw new BridgeError("CONFLICT", `the ${kind} ${name} is used by service ${users.map(nameOf).join(", ")}`);
}
