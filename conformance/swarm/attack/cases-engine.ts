/** At the engine's own socket, round the bridge: the managers' authorization plug-in. */
import { request } from "node:http";
import type { Case, Stage } from "./stage.ts";

interface Raw {
  readonly method?: string;
  readonly path: string;
  readonly body?: string;
  readonly type?: string;
}

/** The bytes as they are given. */
function send(
  stage: Stage,
  { method = "POST", path, body, type = "application/json" }: Raw,
): Promise<{ status: number; text: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string }>();
  const headers = { host: "engine", ...(body === undefined ? {} : { "content-type": type }) };
  const sent = request({ socketPath: stage.world.engine, method, path: `/v1.41${path}`, headers, agent: false });
  sent.once("error", reject).once("response", (incoming) => {
    incoming
      .toArray()
      .then((pieces) => resolve({ status: incoming.statusCode ?? 0, text: Buffer.concat(pieces).toString() }), reject);
  });
  sent.end(body);
  return promise;
}

const round = (name: string, make: (stage: Stage, evil: string, good: string) => Raw, reason?: string): Case => ({
  name: `round the bridge: ${name}`,
  isStanding: true,
  run: async (stage) => {
    const image = await stage.seen();
    const evil = await stage.evil();
    const raw = make(stage, `${stage.gun}@${evil.digest}`, `${stage.gun}@${image.digest}`);
    const { status, text } = await send(stage, raw);
    const path = decodeURIComponent(raw.path.split("?")[0] ?? "");
    const why = reason ?? `${raw.method ?? "POST"} ${path} is for the Goldseal bridge alone`;
    const expected = JSON.stringify({ message: `authorization denied by plugin goldseal: ${why}` });
    if (status !== 403 || text.trim() !== expected)
      throw new Error(`expected 403 ${expected}\n   found ${status} ${text}`);
  },
});

const service = (image: string, more: object = {}): object => ({
  Name: "evil",
  TaskTemplate: { ContainerSpec: { Image: image, ...more } },
});

export const ENGINE: readonly Case[] = [
  round("a service of an unsigned image", (_stage, evil) => ({
    path: "/services/create",
    body: JSON.stringify(service(evil)),
  })),
  round("a service of a signed image with a mount of /", (_stage, _evil, good) => ({
    path: "/services/create",
    body: JSON.stringify(service(good, { Mounts: [{ Type: "bind", Source: "/", Target: "/host" }] })),
  })),
  round("a key in another case (bypass 1)", (_stage, evil, good) => ({
    path: "/services/create",
    body: JSON.stringify({ ...service(good), tasktemplate: { containerspec: { image: evil } } }),
  })),
  round("a key that Unicode folds (bypass 2)", (_stage, evil, good) => ({
    path: "/services/create",
    body: JSON.stringify({ ...service(good), "Ta\u017fkTemplate": { ContainerSpec: { Image: evil } } }),
  })),
  round("a key twice (bypass 3)", (_stage, evil, good) => ({
    path: "/services/create",
    body: `{"Name":"evil","TaskTemplate":{"ContainerSpec":{"Image":"${evil}"}},"TaskTemplate":{"ContainerSpec":{"Image":"${good}"}}}`,
  })),
  round("the engine's own rollback (bypass 4)", () => ({
    path: "/services/x/update?version=1&rollback=previous",
    body: "{}",
  })),
  round("an imported root file system (bypass 5)", () => ({
    path: "/images/create?fromSrc=-&repo=evil",
    body: "x",
    type: "application/x-tar",
  })),
  round("a container", (_stage, evil) => ({ path: "/containers/create", body: JSON.stringify({ Image: evil }) })),
  round("a path that is spelled otherwise", (_stage, evil) => ({
    path: "/containers/cre%61te",
    body: JSON.stringify({ Image: evil }),
  })),
  round("a body that the plug-in is not shown", (_stage, evil) => ({
    path: "/services/create",
    body: JSON.stringify(service(evil)),
    type: "text/plain",
  })),
  round("a join token for a manager of their own", () => ({ method: "GET", path: "/swarm" })),
  round("a command in a container that runs", () => ({ path: "/containers/x/exec", body: '{"Cmd":["sh"]}' })),
];
