import { describe, expect, it } from "vitest";
import { spkiOf } from "../notary/tuf/key.ts";
import { alice, bob, spkiText } from "../trust/testing/signers.ts";
import { BridgeConfigError, parseBridgeConfig } from "./bridge-config.ts";

const KEY = "a".repeat(64);
const pem = alice.publicKey.export({ format: "pem", type: "spki" }).toString();
const lines = {
  registry: "registry: https://registry.example.org:5443",
  engine: "engine: unix:///var/run/docker.sock",
  store: "store: state",
  policyKeys: `policyKeys: {keys: ["${spkiText(bob)}", ${JSON.stringify(pem)}], threshold: 2}`,
  pins: `pins:\n- {gun: "registry.example.org:5443/ops/*", rootKeys: [${KEY}]}`,
};
const text = (change: Partial<Record<keyof typeof lines, string>> = {}, more = ""): string =>
  `${Object.values({ ...lines, ...change }).join("\n")}\n${more}`;
const mistakesOf = (content: string): readonly string[] => {
  try {
    parseBridgeConfig(content, "/etc/goldseal/bridge.yaml");
  } catch (error) {
    if (error instanceof BridgeConfigError) return error.mistakes;
    throw error;
  }
  return [];
};

describe("parseBridgeConfig", () => {
  it("reads the least that must be said, with its defaults", () => {
    const config = parseBridgeConfig(text(), "/etc/goldseal/bridge.yaml");

    expect(config).toMatchObject({
      ...{ registry: "https://registry.example.org:5443", authority: "registry.example.org:5443" },
      ...{ caFile: undefined, account: undefined, engines: new Map(), store: "/etc/goldseal/state" },
      engine: { kind: "unix", socket: "/var/run/docker.sock" },
      listen: { host: "127.0.0.1", port: 5444 },
      pins: [{ pattern: "ops/*", rootKeys: [KEY], threshold: 1, epoch: 1 }],
    });
    expect(config.policyKeys.keys.map(spkiOf)).toEqual([bob, alice].map(({ key }) => spkiOf(key)));
  });

  it("reads all of it", () => {
    const more = [
      "ca: tls/ca.crt",
      "allowKey: allow.key",
      "account: {name: robot$ops+bridge, passwordFile: /run/secrets/bridge}",
      "engines:",
      "  w1: {url: 'tcp://10.0.0.2:2376', ca: tls/ca.crt, cert: tls/cert.pem, key: tls/key.pem}",
      "  m1: unix:///run/m1.sock",
      "listen: '[::1]:0'",
      "tls: {cert: tls/bridge.pem, key: tls/bridge.key}",
    ];

    expect(parseBridgeConfig(text({}, more.join("\n")), "/etc/goldseal/bridge.yaml")).toMatchObject({
      caFile: "/etc/goldseal/tls/ca.crt",
      account: { name: "robot$ops+bridge", passwordFile: "/run/secrets/bridge" },
      engines: new Map([
        [
          "w1",
          {
            ...{ kind: "tcp", host: "10.0.0.2", port: 2376, ca: "/etc/goldseal/tls/ca.crt" },
            ...{ cert: "/etc/goldseal/tls/cert.pem", key: "/etc/goldseal/tls/key.pem" },
            allowKeyFile: "/etc/goldseal/allow.key",
          },
        ],
        ["m1", { kind: "unix", socket: "/run/m1.sock", allowKeyFile: "/etc/goldseal/allow.key" }],
      ]),
      listen: { host: "::1", port: 0 },
      tls: { certFile: "/etc/goldseal/tls/bridge.pem", keyFile: "/etc/goldseal/tls/bridge.key" },
    });
  });

  it("reports every mistake at once", () => {
    const wrong = text(
      { registry: "registry: http://registry.example.org", engine: "engine: tcp://10.0.0.1:2376", pins: "pins: []" },
      "skipVerification: true\nlisten: nowhere",
    );

    expect(mistakesOf(wrong)).toEqual([
      "registry: an origin such as https://registry.example.org:5443, in lower case",
      "engine: unix:///path/of/docker.sock; or url (tcp://host:port), ca, cert and key",
      "listen: host:port, like 127.0.0.1:5444",
      expect.stringMatching(/^pins: Too small/),
      'Unrecognized key: "skipVerification"',
    ]);
    expect(mistakesOf("")).toHaveLength(5);
  });

  it.each<[string, string, string]>([
    ["a registry over http", text({ registry: "registry: http://localhost" }), "registry: an origin"],
    ["a registry with a path", text({ registry: "registry: https://localhost/x" }), "registry: an origin"],
    [
      "a pin of another registry",
      text({ pins: `pins: [{gun: "evil:1/ops/*", rootKeys: [${KEY}]}]` }),
      "evil:1/ops/* is not",
    ],
    ["a pin without a key", text({ pins: 'pins: [{gun: "registry.example.org:5443/a/*", rootKeys: []}]' }), "rootKeys"],
    [
      "a pattern that is none",
      text({ pins: `pins: [{gun: "registry.example.org:5443/ops//a", rootKeys: [${KEY}]}]` }),
      "pattern",
    ],
    [
      "a threshold nobody meets",
      text({ policyKeys: `policyKeys: {keys: ["${spkiText(bob)}"], threshold: 2}` }),
      "there are 1 keys",
    ],
    [
      "a threshold of none",
      text({ policyKeys: `policyKeys: {keys: ["${spkiText(bob)}"], threshold: 0}` }),
      "threshold",
    ],
    [
      "one key twice",
      text({ policyKeys: `policyKeys: {keys: ["${spkiText(bob)}", "${spkiText(bob)}"], threshold: 1}` }),
      "twice",
    ],
    ["a key that is none", text({ policyKeys: "policyKeys: {keys: [abc], threshold: 1}" }), "a public key"],
    ["a name twice", text({}, "store: elsewhere"), "Map keys must be unique"],
    ["to be reached from other machines without TLS", text({}, "listen: 0.0.0.0:5444"), "tls: needed"],
    ["an engine over TCP without TLS", text({ engine: "engine: {url: 'tcp://10.0.0.1:2375'}" }), "ca, cert and key"],
  ])("refuses %s", (_what, content, mistake) => {
    expect(mistakesOf(content)).toEqual([expect.stringContaining(mistake)]);
  });
});
