/** The policy document of the bridge, version after version, as its officer signs it. */
import { keyIdOf, type SigningKey, toEnvelope } from "../signing.ts";
import { BRIDGE } from "./people.ts";

export interface PolicyKeys {
  readonly officer: SigningKey;
  readonly operator: SigningKey;
}

export class PolicyBook {
  readonly #keys: PolicyKeys;
  #version = 0;
  /** By environment: what the document says beside its own words for `prod`. */
  #environments: Readonly<Record<string, object>> = {};

  constructor(keys: PolicyKeys) {
    this.#keys = keys;
  }

  /**
   * The envelope of the next one. `prod` asks for ann; what was said of other environments stays, unless said anew.
   * @param ann her public key: SubjectPublicKeyInfo in base64
   */
  next(ann: string, specLimits: object, environments: Readonly<Record<string, object>>): string {
    const { officer, operator } = this.#keys;
    this.#environments = { ...this.#environments, ...environments };
    const common = { maxTimestampAge: "48h", operators: [operator.keyId], rights: { ops: "deploy" } };
    const prod = { ...common, images: ["ann/*", "vault/*"], require: [{ team: "qa", k: 1 }], specLimits };
    const others = Object.entries(this.#environments).map(([name, own]) => [name, { ...prod, ...own }]);
    const document = {
      ...{ version: ++this.#version, expires: new Date(Date.now() + 86_400_000).toISOString() },
      environments: { prod, ...Object.fromEntries(others) },
      teams: { qa: ["ann"], ops: ["olga"], bridges: [BRIDGE.name] },
      keys: {
        [keyIdOf(ann)]: { spki: ann, user: "ann" },
        [operator.keyId]: { spki: operator.spki, user: "olga" },
        [officer.keyId]: { spki: officer.spki, user: "otto" },
      },
    };
    return toEnvelope("goldseal.policy/v1", document, [officer]);
  }
}
