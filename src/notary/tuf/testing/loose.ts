/** JSON that a test changes in one place before it is signed; it may put the wrong types there. */
export type Loose = Record<string, unknown>;
export type Path = readonly (string | number)[];
export type Change = (signed: Loose) => void;

export function at(value: unknown, path: Path): unknown {
  return path.reduce<unknown>((inner, step) => {
    if (typeof inner !== "object" || inner === null) throw new Error(`nothing at ${path.join(" ")}`);
    return (inner as Loose)[step];
  }, value);
}

/** The change that puts `value` at `path`; the objects on the way must be there. */
export const put =
  (path: Path, value: unknown): Change =>
  (signed) => {
    Object.defineProperty(at(signed, path.slice(0, -1)), path.at(-1) ?? "", {
      value,
      configurable: true,
      enumerable: true,
      writable: true,
    });
  };

/** The change that takes away what is at `path`. */
export const drop =
  (path: Path): Change =>
  (signed) => {
    delete (at(signed, path.slice(0, -1)) as Loose)[path.at(-1) ?? ""];
  };

/** Several changes, one after the other. */
export const all =
  (...changes: readonly Change[]): Change =>
  (signed) => {
    for (const change of changes) change(signed);
  };
