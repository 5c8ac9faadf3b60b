/** What an `Authorization` header says, before anything of it is believed. */
export type Credentials =
  | { readonly kind: "none" }
  | { readonly kind: "basic"; readonly name: string; readonly password: string }
  | { readonly kind: "bearer"; readonly token: string }
  | { readonly kind: "malformed" };

const MALFORMED: Credentials = { kind: "malformed" };
const SCHEME = /^(basic|bearer) +([A-Za-z0-9\-._~+/]+=*) *$/i;
const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** `values` are all the Authorization headers of a request: two of them could be judged by one reader each. */
export function parseAuthorization(values: readonly string[]): Credentials {
  const [value, second] = values;
  if (value === undefined) return { kind: "none" };
  const [, scheme = "", text = ""] = SCHEME.exec(value) ?? [];
  if (second !== undefined || scheme === "") return MALFORMED;
  return scheme.toLowerCase() === "bearer" ? { kind: "bearer", token: text } : parseBasic(text);
}

/** @see RFC 7617: the name ends at the first colon; the password may hold more of them. */
function parseBasic(encoded: string): Credentials {
  const bytes = Buffer.from(encoded, "base64");
  if (unpadded(bytes.toString("base64")) !== unpadded(encoded)) return MALFORMED;
  const text = decodeUtf8(bytes);
  const colon = text?.indexOf(":") ?? -1;
  if (text === undefined || colon < 0) return MALFORMED;
  return { kind: "basic", name: text.slice(0, colon), password: text.slice(colon + 1) };
}

/** Undefined for bytes that are not UTF-8: decoding them loosely would make one password of many. */
function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return UTF8.decode(bytes);
  } catch (error) {
    if (error instanceof TypeError) return undefined;
    throw error;
  }
}

function unpadded(text: string): string {
  return text.replace(/=+$/, "");
}
