/** Stacks as they are ordered, with an image `1` and an image `2` that are signed. */
import { beforeEach } from "vitest";
import { drop, put } from "../../notary/tuf/testing/loose.ts";
import type { Repository } from "../../notary/tuf/testing/repository.ts";
import { image, other } from "../../trust/testing/world.ts";
import { QUICK, useOrderLab } from "./order-lab.ts";

export const base64 = (text: string): string => Buffer.from(text).toString("base64");

export function useStackLab() {
  const lab = useOrderLab();
  let repository: Repository;
  beforeEach(() => {
    repository = lab().lab.found("ops/app");
    lab().lab.sign(repository, "1", image);
    lab().lab.sign(repository, "2", other);
  });
  const service = (tag = "1", more: object = {}) => ({ image: lab().name(tag), update: QUICK, ...more });
  const two = () => {
    const front = { networks: ["front"] };
    return { web: service("1", front), db: service("1", front) };
  };
  return {
    ...{ lab, service, two },
    revoke: (tag: string) => repository.publish([repository.part("targets/a", drop(["targets", tag]))]),
    /** Of the stack `shop`: `web` and `db` on the network `front`, changed. */
    deploy: (more: object = {}) =>
      lab().order("stack.deploy", { name: "shop", services: two(), networks: { front: {} }, ...more }),
    remove: (name = "shop") => lab().order("stack.remove", { name }),
    /** Names. */
    services: () => Object.keys(lab().engine.images).toSorted(),
    specOf: (name: string) => lab().engine.find(name)?.Spec as unknown as Record<string, never>,
    allow: (limits: object) => lab().lab.setPolicy(put(["environments", "prod", "specLimits"], limits)),
    pinned: (digest: string) => lab().name(digest),
    /** What the engine was told, beside questions. */
    told: () => lab().engine.asked.filter((line) => !line.startsWith("GET")),
  };
}
