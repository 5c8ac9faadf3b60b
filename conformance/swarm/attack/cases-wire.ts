/** Whoever has the registry's TLS key and stands before it: what comes over the wire is no more than bytes. */

import { once } from "node:events";
import { createServer } from "node:http";
import { gzipSync } from "node:zlib";
import { sha256 } from "../../harness/registry-client.ts";
import type { Pushed } from "../../story/images.ts";
import type { Attack } from "./front.ts";
import type { Case, Refusal, Stage } from "./stage.ts";

interface WireCase {
  readonly name: string;
  readonly attack: (stage: Stage) => Attack;
  readonly expected: (stage: Stage, image: Pushed) => Refusal;
}

const timestamp = (stage: Stage): string => `${origin(stage)}/v2/${stage.gun}/_trust/tuf/timestamp.json`;
const origin = ({ world }: Stage): string => `https://${world.host}`;
const on =
  (path: RegExp, act: (...args: Parameters<Attack>) => void): Attack =>
  (asked, response, request) => {
    if (!path.test(asked)) return false;
    act(asked, response, request);
    return true;
  };

const WIRE_CASES: readonly WireCase[] = [
  {
    name: "endless data",
    attack: () =>
      on(/timestamp\.json$/, (_path, response) => {
        const megabyte = Buffer.alloc(1 << 20, " ");
        const more = (): void => {
          while (!response.destroyed && response.write(megabyte));
        };
        response.on("drain", more);
        more();
      }),
    expected: (stage) => [502, "registry", `${timestamp(stage)}: an answer of more than 1048576 bytes`],
  },
  {
    name: "an answer that is cut short",
    attack: () =>
      on(/timestamp\.json$/, (_path, response) => {
        response.writeHead(200, { "content-length": 1000 });
        response.write("{", () => response.destroy());
      }),
    expected: (stage) => [502, "registry", `${timestamp(stage)}: aborted`],
  },
  {
    name: "a content coding that nobody asked for",
    attack: () =>
      on(/timestamp\.json$/, (_path, response) => {
        response.writeHead(200, { "content-encoding": "gzip" }).end(gzipSync("{}"));
      }),
    expected: (stage) => [
      502,
      "registry",
      `/v2/${stage.gun}/_trust/tuf/timestamp.json came with the coding gzip, unasked`,
    ],
  },
  {
    name: "a redirect to another host",
    attack: () =>
      on(/timestamp\.json$/, (path, response) => {
        response.writeHead(302, { location: `https://evil.example.com${path}` }).end();
      }),
    expected: (stage) => [502, "registry", `${timestamp(stage)} was answered 302 (not followed)`],
  },
  {
    name: "two answers to two questions: the manifest that is given is another one's",
    attack: () => on(/\/manifests\//, (_path, response) => void response.writeHead(200).end("{}")),
    expected: (stage, image) => [
      502,
      "registry",
      `what the registry gave as ${stage.repository}@${image.digest} is ${sha256("{}")}`,
    ],
  },
  {
    name: "the registry is away",
    attack: () => on(/./, (_path, response) => void response.destroy()),
    expected: (stage) => [502, "registry", `${origin(stage)}/api/v1/policies/bridge: socket hang up`],
  },
];

export const WIRE: readonly Case[] = [
  ...WIRE_CASES.map(({ name, attack, expected }) => ({
    name: `on the wire: ${name}`,
    run: async (stage: Stage) => {
      const image = await stage.seen();
      stage.world.front.attack = attack(stage);
      await stage.mustRefuse("1", expected(stage, image));
    },
  })),
  {
    name: "on the wire: a challenge that sends the bridge elsewhere with its password",
    run: async (stage) => {
      const elsewhere = createServer().listen(0, "127.0.0.1");
      await once(elsewhere, "listening");
      let asked = 0;
      elsewhere.on("request", (_request, response) => {
        asked++;
        response.end("{}");
      });
      const address = elsewhere.address();
      const realm = `http://127.0.0.1:${address !== null && typeof address === "object" ? address.port : 0}/token`;
      stage.world.front.attack = on(/^\/v2\//, (_path, response) => {
        response.writeHead(401, { "www-authenticate": `Bearer realm="${realm}",service="evil"` }).end();
      });
      await stage.mustRefuse(`${stage.world.host}/ann/new-one:1`, [
        502,
        "registry",
        `${origin(stage)} sends callers elsewhere to sign in: ${realm}`,
      ]);
      elsewhere.close();
      if (asked > 0) throw new Error("it went there");
    },
  },
  {
    name: "tag moved between verify and create: what was verified runs",
    run: async (stage) => {
      const image = await stage.seen();
      const evil = await stage.push("evil");
      let moved: Promise<unknown> | undefined;
      stage.world.front.attack = (path) => {
        // The manifest is the last thing that is verified, and the first that the engine asks for.
        if (path.includes("/manifests/"))
          moved ??= stage.world.thief.query(
            "update tags set manifest_digest = $2 where name = '1' and repository_id = (select id from repositories where name = $1)",
            [stage.repository, evil.digest],
          );
        return false;
      };
      await stage.mustDeploy("1", image);
      await moved;
      if (moved === undefined) throw new Error("the tag was not moved");
    },
  },
];
