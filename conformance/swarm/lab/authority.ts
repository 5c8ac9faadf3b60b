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
  const openssl = (...args: readonly string[]) => mustRun(getTool("openssl"), args);
  const own = ["-keyout", file("ca.key"), "-out", file("ca.crt"), "-days", "30", "-subj", "/CN=engines"];
  const extensions = ["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign"];
  await openssl("req", "-x509", ...KEY, ...own, ...extensions);
  const certify = async (name: string, extension: string): Promise<void> => {
    writeFileSync(file(`${name}.ext`), `${extension}\n`);
    await openssl("req", ...KEY, "-keyout", file(`${name}.key`), "-out", file(`${name}.csr`), "-subj", `/CN=${name}`);
    const serial = `0x${randomBytes(16).toString("hex")}`;
    const by = ["-CA", file("ca.crt"), "-CAkey", file("ca.key"), "-days", "30", "-set_serial", serial];
    await openssl(
      "x509",
      "-req",
      "-in",
      file(`${name}.csr`),
      ...by,
      "-out",
      file(`${name}.crt`),
      "-extfile",
      file(`${name}.ext`),
    );
  };
  await certify("bridge", "extendedKeyUsage=clientAuth");
  return {
    issue: async (name, address) => {
      await certify(name, `subjectAltName=IP:${address}\nextendedKeyUsage=serverAuth`);
      const url = `tcp://${address}:${PORT}`;
      const files = ["--tlscacert", file("ca.crt"), "--tlscert", file(`${name}.crt`), "--tlskey", file(`${name}.key`)];
      return {
        endpoint: { url, ca: file("ca.crt"), cert: file("bridge.crt"), key: file("bridge.key") },
        args: ["--host", url, "--tlsverify", ...files],
      };
    },
  };
}

const KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
