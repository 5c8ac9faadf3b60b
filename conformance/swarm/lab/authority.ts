/** A CA for the engines' API: each engine has a certificate for its address, and whoever asks needs one too. */
import { randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { getTool, mustRun } from "../../harness/tools.ts";
import type { TlsEndpoint } from "./node.ts";

export interface Authority {
  /** For one engine: how it is reached, and what its dockerd must be told. */
  issue(name: string, address: string): Promise<{ readonly endpoint: TlsEndpoint; readonly args: readonly string[] }>;
}

const PORT = 2376;

export async function makeAuthority(folder: string): Promise<Authority> {
  mkdirSync(folder, { mode: 0o700 });
  const file = (name: string): string => join(folder, name);
  const own = ["-keyout", file("ca.key"), "-out", file("ca.crt"), "-days", "30", "-subj", "/CN=engines"];
  const extensions = ["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign"];
  await openssl("req", "-x509", ...KEY, ...own, ...extensions);
  const bridge = await certify(folder, "bridge", "extendedKeyUsage=clientAuth");
  return {
    issue: async (name, address) => {
      const { cert, key } = await certify(folder, name, serverFor(`IP:${address}`));
      const url = `tcp://${address}:${PORT}`;
      const files = ["--tlscacert", file("ca.crt"), "--tlscert", cert, "--tlskey", key];
      return {
        endpoint: { url, ca: file("ca.crt"), ...bridge },
        args: ["--host", url, "--tlsverify", ...files],
      };
    },
  };
}

/** @param names `IP:198.18.0.1,DNS:bridge` */
export const serverFor = (names: string): string => `subjectAltName=${names}\nextendedKeyUsage=serverAuth`;

/** A certificate and its key, PEM files, by the authority whose files are in `folder`. */
export async function certify(
  folder: string,
  name: string,
  extension: string,
): Promise<{ readonly cert: string; readonly key: string }> {
  const file = (ending: string): string => join(folder, `${name}.${ending}`);
  const [ca, caKey] = [join(folder, "ca.crt"), join(folder, "ca.key")];
  writeFileSync(file("ext"), `${extension}\n`);
  await openssl("req", ...KEY, "-keyout", file("key"), "-out", file("csr"), "-subj", `/CN=${name}`);
  const serial = `0x${randomBytes(16).toString("hex")}`;
  const by = ["-CA", ca, "-CAkey", caKey, "-days", "30", "-set_serial", serial];
  await openssl("x509", "-req", "-in", file("csr"), ...by, "-out", file("crt"), "-extfile", file("ext"));
  return { cert: file("crt"), key: file("key") };
}

const openssl = (...args: readonly string[]): Promise<string> => mustRun(getTool("openssl"), args);

const KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
