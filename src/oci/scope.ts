/** One `scope` of a token request: resource type, resource name and the actions asked for. */
export interface Scope {
  readonly type: string;
  readonly name: string;
  readonly actions: readonly string[];
}

/**
 * `type:name:action[,action…]`; the name may hold colons (`host:port/org/app`), so type ends at the first colon
 * and actions begin after the last. Undefined when the text is not of that form.
 * @see distribution "Token Scope Documentation", grammar of resourcescope
 */
export function parseScope(text: string): Scope | undefined {
  const first = text.indexOf(":");
  const last = text.lastIndexOf(":");
  if (first <= 0 || last === first) return undefined;
  const name = text.slice(first + 1, last);
  if (name === "") return undefined;
  const actions = [
    ...new Set(
      text
        .slice(last + 1)
        .split(",")
        .filter((action) => action !== ""),
    ),
  ];
  return { type: text.slice(0, first), name, actions };
}
