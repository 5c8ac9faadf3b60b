/** Where a test kills the bridge, to see what the next one makes of it: names are API (hardening part 4). */
export type BridgeFailpoint =
  | "bridge.afterVerify"
  | "bridge.afterIntent"
  | "bridge.afterDockerCall"
  | "bridge.afterReread"
  | "bridge.afterStackParts"
  | "bridge.afterStackServices";

/** Called as each point is passed. */
export type PassPoint = (name: BridgeFailpoint) => void;

/** Dies by SIGKILL at the `pass`-th time that the point is passed; nothing where no point is given. */
export function failpointAt(
  point: { readonly name: string; readonly pass: number } | undefined,
  die: () => void,
): PassPoint {
  let passes = 0;
  return (name) => {
    if (point?.name === name && ++passes === point.pass) die();
  };
}
