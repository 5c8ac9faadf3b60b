import { type Gun, parseGun } from "../../notary/tuf/names.ts";
import type { LocalCall } from "../command.ts";
import { type Account, type Env, findAccount, getPassword, listenUrl, type OptionValues } from "../connection.ts";
import { readLogins } from "../credentials-file.ts";
import { DockerKeys, dockerTrustFolder } from "../docker-keys/folder.ts";
import { Passphrases } from "../docker-keys/passphrases.ts";
import { UsageError } from "../errors.ts";
import { showWaiting } from "../terminal.ts";
import { type Image, parseImage } from "./image.ts";
import { RegistryWire } from "./registry-wire.ts";
import { TrustStore } from "./trust-store.ts";

/** One command on the trust data of one image's repository. */
export interface TrustSession {
  readonly call: LocalCall;
  readonly image: Image;
  readonly gun: Gun;
  readonly wire: RegistryWire;
  readonly account: Account;
  readonly keys: DockerKeys;
  readonly keysFolder: string;
  readonly store: TrustStore;
}

/** To publish: somebody must sign in. @throws UsageError, CliError */
export async function openSigningSession(call: LocalCall): Promise<TrustSession> {
  return open(call, async (account) => {
    if (account.password !== undefined) return account;
    if (call.io.stdin.isTTY === true) return { ...account, password: await getPassword(account, call.io) };
    const { origin } = account.registry.url;
    throw new UsageError(
      `nobody is signed in to ${origin}: goldseal login --url ${origin}, or --url with GOLDSEAL_PASSWORD`,
    );
  });
}

/** To read: whoever gave no password reads what everybody may. @throws UsageError, CliError */
export async function openReadingSession(call: LocalCall): Promise<TrustSession> {
  return open(call, async (account) => account);
}

async function open(call: LocalCall, complete: (account: Account) => Promise<Account>): Promise<TrustSession> {
  const { args, env, io, options } = call;
  const image = parseImage(args[0] ?? "");
  const { url, isKnown } = await findUrl(image, options, env);
  const found = await findAccount({ ...call, options: { ...options, ...(url === undefined ? {} : { url }) } });
  // A password is for the registry that it was given for, not for whatever an image's name says.
  const account = await complete(isKnown ? found : { ...found, password: undefined });
  const { registry, name, password } = account;
  const folder = dockerTrustFolder(env);
  const gun = parseGun(`${image.host ?? registry.url.host}/${image.repository}`);
  return {
    ...{ call, image, gun, account, keysFolder: folder },
    wire: new RegistryWire({
      ...{ url: registry.url, ca: registry.ca },
      account: password === undefined ? undefined : { name, password },
      onWait: (doing) => showWaiting(io, doing),
    }),
    keys: new DockerKeys(folder, new Passphrases(env, io)),
    store: new TrustStore(folder, gun),
  };
}

interface Place {
  /** Undefined: where the command line looks by itself. */
  readonly url: string | undefined;
  /** Whether the person named it: by --url, by the settings, or by signing in there. */
  readonly isKnown: boolean;
}

/** An image that names its registry is looked for there, unless --url says how to reach it. */
async function findUrl({ host }: Image, { url }: OptionValues, env: Env): Promise<Place> {
  if (host === undefined || url !== undefined) return { url: undefined, isKnown: true };
  const { logins } = await readLogins(env);
  const named = [env.GOLDSEAL_PUBLIC_URL, listenUrl(env), ...Object.keys(logins)];
  const known = named.find((one) => one !== undefined && URL.parse(one)?.host === host);
  return { url: known ?? `https://${host}`, isKnown: known !== undefined };
}
