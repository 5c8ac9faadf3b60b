import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { Attribute, Change, Client } from "ldapts";
import { freePort } from "../../../conformance/harness/port.ts";
import { openCertificates } from "../../setup/certificates.ts";

const run = promisify(execFile);
/** Where conformance/provision unpacked it; else the machine's own. */
const UNPACKED = join(
  process.env.GOLDSEAL_CACHE || join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "goldseal"),
  "deb",
  "slapd",
);
const PREFIX = existsSync(join(UNPACKED, "done")) ? UNPACKED : "";
const SLAPD = `${PREFIX}/usr/sbin/slapd`;
const LIBRARIES = join(UNPACKED, "usr", "lib", `${process.arch === "arm64" ? "aarch64" : "x86_64"}-linux-gnu`);
const env = PREFIX === "" ? process.env : { ...process.env, LD_LIBRARY_PATH: LIBRARIES };
const SUFFIX = "dc=example,dc=org";
const ROOT = `cn=root,${SUFFIX}`;
const ROOT_PASSWORD = "root of the directory";
/** Only a failure waits so long. */
const START_MS = 60_000;

/** With CI=true the suites run in any case, and fail where slapd is missing. */
export const hasSlapd = existsSync(SLAPD) || process.env.CI === "true";

export interface Person {
  readonly uid: string;
  readonly password: string;
}

export type Slapd = Awaited<ReturnType<typeof startSlapd>>;

/** A real slapd on the loopback, with StartTLS and LDAPS; it refuses binds that are not encrypted. */
export async function startSlapd(people: readonly Person[], groups: Readonly<Record<string, readonly string[]>> = {}) {
  const folder = await mkdtemp(join(tmpdir(), "goldseal-slapd-"));
  await mkdir(join(folder, "db"));
  const { caFile } = await openCertificates(folder, ["localhost", "127.0.0.1"], new Date());
  const [plain, tls] = [await freePort(), await freePort()];
  const conf = join(folder, "slapd.conf");
  await writeFile(conf, await toConf(folder, caFile));
  await writeFile(join(folder, "data.ldif"), toLdif(people, groups));
  await run(SLAPD, ["-T", "add", "-q", "-f", conf, "-l", join(folder, "data.ldif")], { env });
  await writeFile(join(folder, "bind-password"), `${ROOT_PASSWORD}\n`);
  let child = await start(conf, plain, tls);
  const modify = async (work: (client: Client) => Promise<void>): Promise<void> => {
    const client = new Client({ url: `ldaps://localhost:${tls}`, tlsOptions: { ca: await readFile(caFile, "utf8") } });
    await client.bind(ROOT, ROOT_PASSWORD);
    await work(client).finally(() => client.unbind());
  };
  return {
    folder,
    caFile,
    url: `ldap://localhost:${plain}`,
    tlsUrl: `ldaps://localhost:${tls}`,
    modify,
    stop: () => stop(child),
    start: async () => {
      child = await start(conf, plain, tls);
    },
    close: async () => {
      await stop(child);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export const personDn = (uid: string) => `uid=${uid},ou=people,${SUFFIX}`;
export const groupDn = (cn: string) => `cn=${cn},ou=groups,${SUFFIX}`;

export async function addPerson(client: Client, { uid, password }: Person): Promise<void> {
  await client.add(personDn(uid), { objectClass: "inetOrgPerson", uid, cn: uid, sn: uid, userPassword: password });
}

export async function changeMembers(client: Client, operation: "add" | "delete", cn: string, dn: string) {
  const modification = new Attribute({ type: "member", values: [dn] });
  await client.modify(groupDn(cn), new Change({ operation, modification }));
}

/** What a filter of a rule may ask for; none with no values. */
export async function setJob(client: Client, uid: string, ...values: string[]): Promise<void> {
  const modification = new Attribute({ type: "employeeType", values });
  await client.modify(personDn(uid), new Change({ operation: "replace", modification }));
}

export async function changePassword(client: Client, uid: string, password: string): Promise<void> {
  const modification = new Attribute({ type: "userPassword", values: [password] });
  await client.modify(personDn(uid), new Change({ operation: "replace", modification }));
}

/** What GOLDSEAL_LDAP names, for this server; `more` stands in the directory's entry. */
export function toYaml(slapd: Slapd, more: Readonly<Record<string, unknown>> = {}): string {
  const directory = {
    name: "corp",
    url: slapd.url,
    startTls: true,
    ca: slapd.caFile,
    bindDn: ROOT,
    bindPasswordFile: join(slapd.folder, "bind-password"),
    users: { base: `ou=people,${SUFFIX}` },
    groups: { base: `ou=groups,${SUFFIX}` },
    timeoutSeconds: 10,
    ...more,
  };
  return JSON.stringify({ directories: [directory] });
}

async function toConf(folder: string, caFile: string): Promise<string> {
  return `include ${PREFIX}/etc/ldap/schema/core.schema
include ${PREFIX}/etc/ldap/schema/cosine.schema
include ${PREFIX}/etc/ldap/schema/inetorgperson.schema
attributetype ( 1.2.840.113556.1.4.2 NAME 'objectGUID' EQUALITY octetStringMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 SINGLE-VALUE )
objectclass ( 1.3.6.1.4.1.4203.666.3.1 NAME 'windowsPerson' SUP top AUXILIARY MAY objectGUID )
modulepath ${PREFIX}/usr/lib/ldap
moduleload back_mdb
pidfile ${folder}/slapd.pid
TLSCACertificateFile ${caFile}
TLSCertificateFile ${folder}/server.crt
TLSCertificateKeyFile ${folder}/server.key
security simple_bind=128
sizelimit 100
database mdb
suffix "${SUFFIX}"
rootdn "${ROOT}"
rootpw "${ROOT_PASSWORD}"
directory ${folder}/db
limits dn.exact="${ROOT}" size=unlimited
access to attrs=userPassword by anonymous auth by * none
access to * by users read
`;
}

function toLdif(people: readonly Person[], groups: Readonly<Record<string, readonly string[]>>): string {
  const entries = [
    `dn: ${SUFFIX}\nobjectClass: dcObject\nobjectClass: organization\no: example\ndc: example`,
    ...["people", "groups"].map((ou) => `dn: ou=${ou},${SUFFIX}\nobjectClass: organizationalUnit\nou: ${ou}`),
    ...people.map(
      ({ uid, password }) =>
        `dn: ${personDn(uid)}\nobjectClass: inetOrgPerson\nuid: ${uid}\ncn: ${uid}\nsn: ${uid}\nuserPassword: ${password}`,
    ),
    ...Object.entries(groups).map(
      ([cn, members]) =>
        `dn: ${groupDn(cn)}\nobjectClass: groupOfNames\ncn: ${cn}\n${members.map((dn) => `member: ${dn}`).join("\n")}`,
    ),
  ];
  return `${entries.join("\n\n")}\n`;
}

async function start(conf: string, plain: number, tls: number): Promise<ChildProcess> {
  const urls = `ldap://127.0.0.1:${plain} ldap://127.0.0.2:${plain} ldaps://127.0.0.1:${tls}`;
  const child = spawn(SLAPD, ["-d", "0", "-f", conf, "-h", urls], { env, stdio: ["ignore", "ignore", "ignore"] });
  for (const until = Date.now() + START_MS; !((await accepts(plain)) && (await accepts(tls))); ) {
    if (Date.now() > until || child.exitCode !== null) throw new Error("slapd did not start");
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  return child;
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGTERM");
  await once(child, "exit");
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port }, () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
}
