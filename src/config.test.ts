import { resolve } from "node:path";
import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { ConfigError, parseConfig, withoutSecrets } from "./config.ts";

function mistakesOf(env: Record<string, string>, yamlText?: string): readonly string[] {
  try {
    parseConfig(env, yamlText);
  } catch (error) {
    if (error instanceof ConfigError) return error.mistakes;
    throw error;
  }
  return [];
}

describe("parseConfig", () => {
  it("has a default for everything", () => {
    const config = parseConfig({ PATH: "/bin" });

    expect({ ...config, workers: undefined }).toEqual({
      listen: { host: "127.0.0.1", port: 5443 },
      dataFolder: resolve("data"),
      tls: { kind: "auto" },
      trustedProxies: [],
      database: { kind: "embedded" },
      blobs: { kind: "fs", root: resolve("data/blobs") },
      blobRedirect: "off",
      masterKeyFile: resolve("data/master.key"),
      authChallenge: "bearer",
      authzSocket: "/run/docker/plugins/goldseal.sock",
      workers: undefined,
      tokenTtlSeconds: 300,
      trustKeys: "ed25519",
      uploadTtlHours: 24,
      gcEveryMinutes: 60,
      gcGraceHours: 24,
      gcUntaggedHours: 168,
      deleteEnabled: true,
      anonymousPull: true,
      logLevel: "info",
    });
    expect(config.workers).toBeGreaterThan(0);
  });

  it.each([
    [{ GOLDSEAL_LISTEN: "[::1]:0" }, { listen: { host: "::1", port: 0 } }],
    [{ GOLDSEAL_LISTEN: "localhost:80" }, { listen: { host: "localhost", port: 80 } }],
    [{ GOLDSEAL_PUBLIC_URL: "HTTPS://Registry.Example.org:443/" }, { publicUrl: "https://registry.example.org" }],
    [{ GOLDSEAL_TLS: "off" }, { tls: { kind: "off" } }],
    [{ GOLDSEAL_TLS: "/a/c.pem,/a/k.pem" }, { tls: { kind: "files", certFile: "/a/c.pem", keyFile: "/a/k.pem" } }],
    [{ GOLDSEAL_DATA: "/srv/g" }, { masterKeyFile: "/srv/g/master.key", blobs: { kind: "fs", root: "/srv/g/blobs" } }],
    [{ GOLDSEAL_BLOBS: "fs:/mnt/b" }, { blobs: { kind: "fs", root: "/mnt/b" } }],
    [
      { GOLDSEAL_BLOBS: "s3://b/a/b/?endpoint=http://minio:9000", GOLDSEAL_BLOB_REDIRECT: "10.0.0.0/8, fd00::/8" },
      {
        blobs: { kind: "s3", bucket: "b", prefix: "a/b", endpoint: "http://minio:9000", timeoutSeconds: 30 },
        blobRedirect: [
          { address: "10.0.0.0", bits: 8, family: "ipv4" },
          { address: "fd00::", bits: 8, family: "ipv6" },
        ],
      },
    ],
    [
      { GOLDSEAL_BLOBS: "s3://b?region=eu&timeout=5", GOLDSEAL_BLOB_REDIRECT: "on" },
      { blobs: { kind: "s3", bucket: "b", prefix: "", region: "eu", timeoutSeconds: 5 }, blobRedirect: "on" },
    ],
    [
      { GOLDSEAL_TRUSTED_PROXIES: "10.0.0.5, fd00:1::5,10.1.0.0/16,fd00:2::/64" },
      {
        trustedProxies: [
          { address: "10.0.0.5", bits: 32, family: "ipv4" },
          { address: "fd00:1::5", bits: 128, family: "ipv6" },
          { address: "10.1.0.0", bits: 16, family: "ipv4" },
          { address: "fd00:2::", bits: 64, family: "ipv6" },
        ],
      },
    ],
    [{ GOLDSEAL_AUTH_CHALLENGE: "basic" }, { authChallenge: "basic" }],
    [{ GOLDSEAL_WORKERS: "3" }, { workers: 3 }],
    [{ GOLDSEAL_TOKEN_TTL_SECONDS: "60" }, { tokenTtlSeconds: 60 }],
    [
      { GOLDSEAL_DELETE: "off", GOLDSEAL_ANONYMOUS: "off" },
      { deleteEnabled: false, anonymousPull: false },
    ],
    [
      { GOLDSEAL_GC_EVERY_MINUTES: "off", GOLDSEAL_GC_GRACE_HOURS: "0", GOLDSEAL_GC_UNTAGGED_HOURS: "off" },
      { gcEveryMinutes: "off", gcGraceHours: 0, gcUntaggedHours: "off" },
    ],
    [{ GOLDSEAL_FAILPOINT: "blob.afterRename:3" }, { failpoint: { name: "blob.afterRename", pass: 3 } }],
  ])("reads %o", (env, expected) => {
    expect(parseConfig(env)).toMatchObject(expected);
  });

  it.each([
    ["GOLDSEAL_LISTEN", "5443"],
    ["GOLDSEAL_GC_EVERY_MINUTES", "0"],
    ["GOLDSEAL_GC_GRACE_HOURS", "off"],
    ["GOLDSEAL_LISTEN", "host:65536"],
    ["GOLDSEAL_LISTEN", "::1:5443"],
    ["GOLDSEAL_LISTEN", "256.1.1.1.:1"],
    ["GOLDSEAL_LISTEN", ""],
    ["GOLDSEAL_PUBLIC_URL", "registry.example.org"],
    ["GOLDSEAL_PUBLIC_URL", "https://registry.example.org/path"],
    ["GOLDSEAL_PUBLIC_URL", "https://user@registry.example.org"],
    ["GOLDSEAL_PUBLIC_URL", "ftp://registry.example.org"],
    ["GOLDSEAL_DATA", "a\0b"],
    ["GOLDSEAL_TLS", "on"],
    ["GOLDSEAL_TLS", "a,b,c"],
    ["GOLDSEAL_DATABASE_URL", "mysql://h/d"],
    ["GOLDSEAL_DATABASE_URL", "postgres://h"],
    ["GOLDSEAL_BLOBS", "fs:"],
    ["GOLDSEAL_BLOBS", "s3://"],
    ["GOLDSEAL_BLOBS", "s3://bucket?acl=public"],
    ["GOLDSEAL_BLOBS", "s3://bucket?timeout=0"],
    ["GOLDSEAL_BLOBS", "s3://bucket?endpoint=minio:9000"],
    ["GOLDSEAL_BLOB_REDIRECT", "yes"],
    ["GOLDSEAL_BLOB_REDIRECT", "10.0.0.0"],
    ["GOLDSEAL_BLOB_REDIRECT", "10.0.0.0/33"],
    ["GOLDSEAL_BLOB_REDIRECT", "10.0.0.0/8,"],
    ["GOLDSEAL_BLOB_REDIRECT", "on"],
    ["GOLDSEAL_TRUSTED_PROXIES", "nginx"],
    ["GOLDSEAL_TRUSTED_PROXIES", "10.0.0.5,"],
    ["GOLDSEAL_TRUSTED_PROXIES", "10.0.0.5:80"],
    ["GOLDSEAL_TRUSTED_PROXIES", "10.0.0.5/33"],
    ["GOLDSEAL_TRUSTED_PROXIES", "10.0.0.5/8/8"],
    ["GOLDSEAL_TRUSTED_PROXIES", "fe80::1%eth0"],
    ["GOLDSEAL_TRUSTED_PROXIES", "0.0.0.0/0"],
    ["GOLDSEAL_TRUSTED_PROXIES", "::/0"],
    ["GOLDSEAL_AUTH_CHALLENGE", "Bearer"],
    ["GOLDSEAL_WORKERS", "0"],
    ["GOLDSEAL_WORKERS", "1e1"],
    ["GOLDSEAL_TOKEN_TTL_SECONDS", "59"],
    ["GOLDSEAL_TOKEN_TTL_SECONDS", "301"],
    ["GOLDSEAL_UPLOAD_TTL_HOURS", "0"],
    ["GOLDSEAL_DELETE", "true"],
    ["GOLDSEAL_ANONYMOUS", "yes"],
    ["GOLDSEAL_LOG_LEVEL", "debug"],
    ["GOLDSEAL_FAILPOINT", "blob.afterRename"],
  ])("refuses %s=%j and names the variable", (name, value) => {
    const mistakes = mistakesOf({ [name]: value });

    expect(mistakes.filter((line) => line.startsWith(`${name}: `))).toHaveLength(1);
  });

  it.each([
    ["10.0.0.5, nginx", '"nginx" is no address or network, like 10.0.0.5 or fd00:1::/64'],
    ["0.0.0.0/0", "0.0.0.0/0 is everybody; name only proxies: they say who asks"],
  ])("says what is wrong with trusted proxies %s", (value, mistake) => {
    expect(mistakesOf({ GOLDSEAL_TRUSTED_PROXIES: value })).toEqual([`GOLDSEAL_TRUSTED_PROXIES: ${mistake}`]);
  });

  it("reports every mistake at once, with a hint at what was meant", () => {
    const mistakes = mistakesOf(
      { GOLDSEAL_WORKERS: "x", GOLDSEAL_TSL: "off" },
      "GOLDSEAL_DATTA: x\nGOLDSEAL_DELETE: 1\n",
    );

    expect(mistakes).toEqual([
      "GOLDSEAL_DATTA: unknown key in goldseal.yaml; did you mean GOLDSEAL_DATA?",
      "GOLDSEAL_TSL: unknown environment variable; did you mean GOLDSEAL_TLS?",
      "GOLDSEAL_WORKERS: must be a whole number from 1 to 256",
      "GOLDSEAL_DELETE: must be on or off",
    ]);
  });

  it("takes goldseal.yaml below the environment, its scalars as they are written", () => {
    const yamlText = "GOLDSEAL_WORKERS: 5\nGOLDSEAL_DELETE: off\nGOLDSEAL_ADMIN_PASSWORD: 0123\n";

    const config = parseConfig({ GOLDSEAL_WORKERS: "2" }, yamlText);

    expect(config).toMatchObject({ workers: 2, deleteEnabled: false });
    expect(config.adminPassword?.reveal()).toBe("0123");
  });

  it.each([
    ["GOLDSEAL_WORKERS: 1\nGOLDSEAL_WORKERS: 2\n", /^goldseal\.yaml: .*unique/],
    ["GOLDSEAL_WORKERS: [1]\n", /^GOLDSEAL_WORKERS: must be one value/],
    ["- a\n", /^goldseal\.yaml: must be/],
    ["a: [\n", /^goldseal\.yaml: /],
    ["LISTEN: 127.0.0.1:1\n", /^LISTEN: unknown key/],
  ])("refuses the file %j", (yamlText, expected) => {
    expect(mistakesOf({}, yamlText)[0]).toMatch(expected);
  });

  it("asks with an external database for what replicas must share", () => {
    const env = { GOLDSEAL_DATABASE_URL: "postgres://u:p@h/d" };

    expect(mistakesOf(env).map((line) => line.split(":")[0])).toEqual([
      "GOLDSEAL_MASTER_KEY_FILE",
      "GOLDSEAL_PUBLIC_URL",
      "GOLDSEAL_TLS",
    ]);
    expect(
      mistakesOf({ ...env, GOLDSEAL_MASTER_KEY_FILE: "/k", GOLDSEAL_PUBLIC_URL: "https://r", GOLDSEAL_TLS: "off" }),
    ).toEqual([]);
  });

  it("hands nothing to a bridge in the clear but on this machine, and needs to know where it is", () => {
    const url = (text: string) => mistakesOf({ GOLDSEAL_BRIDGE_URL: text });
    for (const good of [
      "http://127.0.0.1:5444",
      "http://[::1]:5444",
      "http://localhost:5444",
      "https://bridge.example.org",
    ])
      expect([good, url(good)]).toEqual([good, []]);
    for (const bad of [
      "http://bridge.example.org:5444",
      "http://127.evil.example.org",
      "https://bridge/path",
      "bridge:5444",
    ])
      expect([bad, url(bad).length]).toEqual([bad, 1]);
    expect(mistakesOf({ GOLDSEAL_BRIDGE_SECRET_FILE: "/s", GOLDSEAL_BRIDGE_CA_FILE: "/c" })).toEqual([
      "GOLDSEAL_BRIDGE_CA_FILE: says nothing without GOLDSEAL_BRIDGE_URL",
      "GOLDSEAL_BRIDGE_SECRET_FILE: says nothing without GOLDSEAL_BRIDGE_URL",
    ]);
  });

  it("knows where the bridge's own file is", () => {
    expect(parseConfig({ GOLDSEAL_BRIDGE_CONFIG: "/etc/goldseal/bridge.yaml" }).bridgeConfigFile).toBe(
      "/etc/goldseal/bridge.yaml",
    );
  });

  it("knows where a plug-in's socket and keys are", () => {
    expect(parseConfig({}).authzSocket).toBe("/run/docker/plugins/goldseal.sock");
    expect(parseConfig({ GOLDSEAL_AUTHZ_KEYS: "/etc/a.pub, /etc/b.pub" }).authzKeyFiles).toEqual([
      "/etc/a.pub",
      "/etc/b.pub",
    ]);
  });

  it("is frozen and shows no secret, printed, as JSON, in a message, or to the workers", () => {
    const secrets = { GOLDSEAL_ADMIN_PASSWORD: "hunter2hunter2", GOLDSEAL_DATABASE_URL: "postgres://u:hunter2@h/d" };
    const config = parseConfig({
      ...secrets,
      GOLDSEAL_MASTER_KEY_FILE: "/k",
      GOLDSEAL_PUBLIC_URL: "https://r",
      GOLDSEAL_TLS: "off",
    });

    const shown = [inspect(config, { depth: 9 }), JSON.stringify(config), String(config.adminPassword)];

    expect(shown.join()).not.toContain("hunter2");
    expect(mistakesOf({ GOLDSEAL_DATABASE_URL: "mysql://u:hunter2@h/d" }).join()).not.toContain("hunter2");
    expect(withoutSecrets(config)).not.toHaveProperty("adminPassword");
    expect(Object.isFrozen(config) && Object.isFrozen(config.listen)).toBe(true);
  });
});
