// First: what parses a certificate before this is loaded leaves Node 26.10 without TLS servers.
import "node:https";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { delegate, entry } from "../notary/tuf/testing/delegating.ts";
import { put } from "../notary/tuf/testing/loose.ts";
import { metaOf } from "../notary/tuf/testing/repository.ts";
import { alice } from "../trust/testing/signers.ts";
import { image, other } from "../trust/testing/world.ts";
import { RegistryClient } from "./registry-client.ts";
import { deploys, forge, refused, useBridgeLab } from "./testing/bridge-lab.ts";
import { type Attack, RegistrySimulator } from "./testing/registry-simulator.ts";

const lab = useBridgeLab();
const unanswered = (reason: string | RegExp) => refused("REGISTRY", reason);
const on =
  (path: RegExp, act: (...args: Parameters<Attack>) => void): Attack =>
  (asked, response, request) => {
    if (!path.test(asked)) return false;
    act(asked, response, request);
    return true;
  };
const ANY = /./;
const SHOP = "ops/app:1.4";

async function signed() {
  const app = lab().found("ops/app");
  lab().sign(app, "1.4");
  return app;
}

describe("on the wire the bridge refuses", () => {
  it.each<[string, RegExp, string]>([
    ["a timestamp", /timestamp\.json$/, "an answer of more than 1048576 bytes"],
    ["a root", /root\.json$/, "an answer of more than 1048576 bytes"],
    ["a snapshot", /snapshot\.\w+\.json$/, "an answer of more than \\d{3,4} bytes"],
    ["a policy document", /policies\/bridge$/, "an answer of more than 1048576 bytes"],
  ])("endless data (T02, C05): %s without end", async (_what, path, reason) => {
    await signed();
    const megabyte = Buffer.alloc(1 << 20, " ");
    lab().registry.attack = on(path, (_asked, response) => {
      const more = (): void => {
        while (!response.destroyed && response.write(megabyte));
      };
      response.on("drain", more);
      more();
    });

    expect(await lab().resolve(SHOP)).toEqual(unanswered(reason));
  });

  it("endless data (T02): more than 32 delegations", async () => {
    const app = lab().found("ops/app");
    lab().sign(app, "1.4");
    // Beside `targets/a` and `targets/a/b`, which are there.
    const more = (count: number) => {
      const roles = Array.from({ length: count }, (_, index) => entry(`targets/x${index}`, [alice]));
      return app.publish([app.part("targets", delegate([alice], entry("targets/a", [alice]), ...roles))]);
    };

    more(30);
    expect(await lab().resolve(SHOP)).toEqual(deploys(image));
    more(31);
    expect(await lab().resolve(SHOP)).toEqual(refused("TRUST", "^more than 32 delegations$"));
  });

  it("endless data (T02): an answer that comes a byte now and then, and one that never begins", async () => {
    await signed();
    lab().timeoutMs = 400;
    const timers: NodeJS.Timeout[] = [];
    lab().registry.attack = on(/timestamp/, (_asked, response) => {
      timers.push(setInterval(() => response.write(" "), 20));
    });
    expect(await lab().resolve(SHOP)).toEqual(unanswered("aborted"));
    for (const timer of timers) clearInterval(timer);

    lab().registry.attack = on(ANY, () => undefined);
    expect(await lab().resolve(SHOP)).toEqual(unanswered("aborted"));
  });

  it("an answer that is cut short (T10)", async () => {
    await signed();
    lab().registry.attack = on(/timestamp/, (_asked, response) => {
      response.writeHead(200, { "content-length": 1000 });
      response.write("{", () => response.destroy());
    });

    expect(await lab().resolve(SHOP)).toEqual(unanswered("aborted|cut short"));
  });

  it("a content coding, asked for by nobody (T10)", async () => {
    await signed();
    lab().registry.attack = on(/timestamp/, (_asked, response) => {
      response.writeHead(200, { "content-encoding": "gzip" }).end(gzipSync("{}"));
    });

    expect(await lab().resolve(SHOP)).toEqual(unanswered("came with the coding gzip, unasked"));
  });

  it("redirects (T10, C01): nothing is asked elsewhere", async () => {
    await signed();
    const elsewhere = await RegistrySimulator.start();
    lab().registry.attack = on(/timestamp/, (asked, response) => {
      response.writeHead(302, { location: `https://${elsewhere.authority}${asked}` }).end();
    });

    expect(await lab().resolve(SHOP)).toEqual(unanswered(/timestamp\.json was answered 302 \(not followed\)$/));
    expect(elsewhere.asked).toEqual([]);
    await elsewhere.stop();
  });

  it("a certificate of another name, and one of another CA (T10)", async () => {
    const stranger = await RegistrySimulator.start("registry.example.com");
    const ask = { path: "/v2/", maxBytes: 10, scope: undefined };
    const options = { origin: `https://${stranger.authority}`, timeoutMs: 60_000, account: undefined };
    const [named, foreign] = [stranger.ca, lab().registry.ca].map((ca) => new RegistryClient({ ...options, ca }));

    await expect(named?.find(ask)).rejects.toMatchObject({
      code: "REGISTRY",
      message: expect.stringMatching("altnames"),
    });
    await expect(foreign?.find(ask)).rejects.toMatchObject({
      code: "REGISTRY",
      message: expect.stringMatching("self-signed certificate"),
    });
    expect(stranger.asked).toEqual([]);
    await stranger.stop();
  });

  it("to sign in anywhere but at the registry (D06, C01)", async () => {
    await signed();
    lab().account = { name: "bridge", password: "secret" };
    const elsewhere = await RegistrySimulator.start();
    const authorizations: (string | undefined)[] = [];
    const challenge = (realm: string): Attack =>
      on(/^\/v2\//, (_asked, response, request) => {
        authorizations.push(request.headers.authorization);
        response.writeHead(401, { "www-authenticate": `Bearer realm="${realm}",service="x"` }).end();
      });
    for (const realm of [
      `https://${elsewhere.authority}/token`,
      `http://${lab().registry.authority}/token`,
      `https://${lab().registry.authority}.example.com/token`,
      `https://x@${lab().registry.authority.replace("localhost", "127.0.0.1")}/token`,
      "",
    ]) {
      lab().registry.attack = challenge(realm);
      expect(await lab().resolve(SHOP)).toEqual(unanswered("sends callers elsewhere to sign in"));
    }
    expect(new Set(authorizations)).toEqual(new Set([undefined]));
    expect(elsewhere.asked).toEqual([]);
    await elsewhere.stop();
  });

  it("what it may not read, and says who asked", async () => {
    await signed();
    lab().registry.attack = on(/^\/v2\/.*_trust/, (_asked, response) => response.writeHead(401).end());

    expect(await lab().resolve(SHOP)).toEqual(unanswered(/root\.json was answered 401 \(nobody is signed in\)$/));
  });

  it("a registry that is down, also for what it deployed before", async () => {
    await signed();
    expect(await lab().resolve(SHOP)).toMatchObject({ kind: "deploy" });
    lab().registry.attack = on(ANY, (_asked, response) => response.destroy());
    expect(await lab().resolve(SHOP)).toEqual(unanswered("socket hang up"));

    lab().registry.attack = on(/_trust/, (_asked, response) => response.writeHead(500).end());

    expect(await lab().resolve(SHOP)).toEqual(unanswered("was answered 500"));
  });

  it("no redeploy of what stood under the tag a moment ago: a tag that is moved meanwhile means what was verified (N12)", async () => {
    const app = await signed();
    lab().registry.attack = (asked) => {
      // Between the verified timestamp and the manifest the tag is signed as something else.
      if (asked.includes("/manifests/")) lab().sign(app, "1.4", other);
      return false;
    };

    expect(await lab().resolve(SHOP)).toMatchObject({ kind: "deploy", digest: image.digest });
  });

  it("bytes that two readers understand differently (T18, T19)", async () => {
    const app = await signed();
    const text = Buffer.from(app.stored.get("targets/a" as never) as Uint8Array).toString();
    const aliased = Buffer.from(text.replace('{"signed":', '{"Signed":{},"signed":'));
    forge(app, [], put(["meta", "targets/a"], metaOf(aliased)));
    lab().registry.attack = on(/targets\/a\./, (_asked, response) => response.end(aliased));

    expect(await lab().resolve(SHOP)).toEqual(refused("TRUST", 'the file has a member "Signed"'));
  });
});

describe("the account", () => {
  it("gets a token for each scope at the registry, and a new one when it ended", async () => {
    await signed();
    lab().account = { name: "bridge", password: "secret" };
    const tokens = new Set<string>();
    const scopes: string[] = [];
    let ended = false;
    lab().registry.attack = (asked, response, request) => {
      const { authorization = "" } = request.headers;
      if (asked.startsWith("/token?")) {
        expect(authorization).toBe(`Basic ${Buffer.from("bridge:secret").toString("base64")}`);
        const scope = new URLSearchParams(asked.slice("/token?".length)).get("scope") ?? "";
        scopes.push(scope);
        const token = `t${scopes.length}`;
        tokens.add(`Bearer ${token}`);
        response.end(JSON.stringify({ token }));
        return true;
      }
      if (!asked.startsWith("/v2/")) return false;
      if (!ended && asked.includes("timestamp") && tokens.size === 1) {
        ended = true;
        tokens.clear();
      }
      if (tokens.has(authorization)) return false;
      const realm = `https://${lab().registry.authority}/token`;
      response.writeHead(401, { "www-authenticate": `Bearer realm="${realm}",service="goldseal"` }).end();
      return true;
    };

    expect(await lab().resolve(SHOP)).toMatchObject({ kind: "deploy" });

    const gun = `repository:${lab().registry.authority}/ops/app:pull`;
    expect(scopes).toEqual([gun, gun, "repository:ops/app:pull"]);
  });
});
