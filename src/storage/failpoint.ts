/**
 * A named place in a write path where the crash suite may end the process, as a power cut or a kill would.
 * `GOLDSEAL_FAILPOINT=name:n` ends it at the n-th time the place is reached; without it every call does nothing.
 */
export type Failpoint = (name: string) => void;

export const noFailpoint: Failpoint = () => undefined;

export function failpointAt(setting: string, die: () => void): Failpoint {
  const [wanted, count = "1"] = setting.split(":");
  let left = Number(count);
  return (name) => {
    if (name === wanted && --left === 0) die();
  };
}
