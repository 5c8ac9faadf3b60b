/** Hardening T18, T19, N04: documents that two readers read differently are refused before any signature is looked at. */
import { type Attack, refuses } from "./testing/attack.ts";
import { malformed, onEachText } from "./testing/each-role.ts";

const onText = (name: string, change: (text: string) => string | Buffer): Attack[] =>
  onEachText(name, change, malformed);
/** The first character of `signed`'s inside. */
const inside = (members: string) => (text: string) => text.replace('{"signed":{', `{"signed":{${members},`);
const version = (written: string) => (text: string) => text.replace(/"version":\d+/, `"version":${written}`);
const expires = (written: string) => (text: string) => text.replace(/"expires":"[^"]*"/, `"expires":${written}`);
const sig = (written: string) => (text: string) => text.replace(/"sig":"[^"]*"/, `"sig":${written}`);
const beside = (member: string) => (text: string) => text.replace(/\}$/, `,${member}}`);

refuses("unsigned additions", [
  ...onText("a member beside signed and signatures", beside('"abc":"xyz"')),
  ...onText("an empty member name beside them", beside('"":{}')),
  ...onText("a second signed, of the attacker's", beside('"signed":{"_type":"Root","version":9}')),
  ...onText("second signatures", beside('"signatures":[]')),
  ...onText("Signed, which Go reads as signed", beside('"Signed":{"version":9}')),
  ...onText("\u017figned, which Go reads as signed", beside('"\u017figned":{"version":9}')),
  ...onText("SIGNATURES", beside('"SIGNATURES":[]')),
  ...onText("an escaped spelling of signed", beside('"\\u0073igned":{}')),
  ...onText("a member in a signature", (text) => text.replace('"method":', '"extra":1,"method":')),
  ...onText("KEYID beside keyid", (text) => text.replace('"method":', '"KEYID":"ab","method":')),
  ...onText("bytes after the document", (text) => `${text}garbage`),
  ...onText("a second document after the first", (text) => `${text}${text}`),
  ...onText("NUL after the document", (text) => `${text}\0`),
  ...onText("a byte order mark", (text) => `\ufeff${text}`),
  ...onText("a comment", (text) => text.replace("{", "{/* */")),
  ...onText("a comma too many", (text) => text.replace(/\}$/, ",}")),
]);

refuses("two readings of one document", [
  ...onText("version twice", inside('"version":1')),
  ...onText("Version, which Go reads as version", inside('"Version":1')),
  ...onText("ver\u017fion, which Go reads as version", inside('"ver\u017fion":1')),
  ...onText("EXPIRES, which Go reads as expires", inside('"EXPIRES":"2030-01-01T00:00:00Z"')),
  ...onText("_TYPE, which Go reads as _type", inside('"_TYPE":"Root"')),
  ...onText("one name twice, once escaped", inside('"a":1,"\\u0061":2')),
  ...onText("__proto__ twice", inside('"__proto__":1,"__proto__":2')),
  ...onText("half of a surrogate pair", inside('"a":"\\ud800"')),
  ...onText("halves in the wrong order", inside('"a":"\\udc00\\ud800"')),
  ...onText("half of a pair as a name", inside('"\\udfff":1')),
  ...onText("bytes that are not UTF-8", (text) => Buffer.from(inside('"a":"\u00ff"')(text), "latin1")),
  ...onText("an overlong UTF-8 slash", (text) => {
    const [head = "", tail = ""] = inside('"a":"@@"')(text).split("@@");
    return Buffer.concat([Buffer.from(head), Buffer.from([0xc0, 0xaf]), Buffer.from(tail)]);
  }),
  ...onText("NUL in a string", inside('"a":"\\u0000"')),
  ...onText("a line feed in a string", inside('"a":"\\n"')),
  ...onText("a raw line feed in a string", inside('"a":"\n"')),
  ...onText("a fraction", inside('"a":1.5')),
  ...onText("3.0", inside('"a":3.0')),
  ...onText("an exponent", inside('"a":1e3')),
  ...onText("a negative zero", inside('"a":-0')),
  ...onText("2^53", inside('"a":9007199254740992')),
  ...onText("2^53+1, which JSON.parse rounds", inside('"a":9007199254740993')),
  ...onText("infinity", inside('"a":1e400')),
  ...onText("a small fraction", inside('"a":1e-7')),
  ...onText("NaN", inside('"a":NaN')),
  ...onText("nesting of 40", inside(`"a":${"[".repeat(40)}${"]".repeat(40)}`)),
  ...onText("nesting of 100,000", inside(`"a":${"[".repeat(100_000)}${"]".repeat(100_000)}`)),
]);

refuses("what is no file at all", [
  ...onText("nothing", () => ""),
  ...onText("blanks", () => " \n"),
  ...onText("null", () => "null"),
  ...onText("a list", (text) => `[${text}]`),
  ...onText("a string", (text) => JSON.stringify(text)),
  ...onText("a number", () => "1"),
  ...onText("half of it", (text) => text.slice(0, text.length / 2)),
  ...onText("UTF-16", (text) => Buffer.from(text, "utf16le")),
  ...onText("signed as a list", (text) => text.replace(/"signed":\{.*\},"sig/, '"signed":[],"sig')),
  ...onText("signed as base64", (text) => text.replace(/"signed":\{.*\},"sig/, '"signed":"e30=","sig')),
  ...onText("signatures as an object", (text) => text.replace(/"signatures":\[(.*)\]\}$/, '"signatures":$1}')),
  ...onText("a signature that is a string", (text) => text.replace(/"signatures":\[.*$/, '"signatures":["x"]}')),
]);

refuses("fields of the wrong kind", [
  ...onText('version "3"', version('"3"')),
  ...onText("version 3.0", version("3.0")),
  ...onText("version 3e0", version("3e0")),
  ...onText("version 1.5", version("1.5")),
  ...onText("version 2^53", version("9007199254740992")),
  ...onText("version true", version("true")),
  ...onText("version as a list", version("[3]")),
  ...onText("expires without a zone", expires('"2028-11-19T15:26:04"')),
  ...onText("expires with a blank for T", expires('"2028-11-19 15:26:04Z"')),
  ...onText("expires in small letters", expires('"2028-11-19t15:26:04z"')),
  ...onText("expires on 30 February", expires('"2028-02-30T00:00:00Z"')),
  ...onText("expires at 25 o'clock", expires('"2028-02-01T25:00:00Z"')),
  ...onText("expires at 24 o'clock", expires('"2028-02-01T24:00:00Z"')),
  ...onText("expires in a leap second", expires('"2028-12-31T23:59:60Z"')),
  ...onText("expires as a number", expires("1857988800")),
  ...onText("expires with a six-digit year", expires('"+020280-01-01T00:00:00Z"')),
  ...onText("expires empty", expires('""')),
  ...onText("_type as a number", (text) => text.replace(/"_type":"\w+"/, '"_type":1')),
  ...onText("sig that is not base64", sig('"@@@@"')),
  ...onText("sig without its padding", sig('"YQ"')),
  ...onText("sig in base64url", sig('"_-8="')),
  ...onText("sig with a line break", sig('"YWJj\\nYWJj"')),
  ...onText("sig with bits after its end", sig('"YR=="')),
  ...onText("sig as a list", sig("[1]")),
  ...onText("keyid as a number", (text) => text.replace(/"keyid":"[^"]*"(?!.*"keyid")/, '"keyid":1')),
  ...onText("method as an object", (text) => text.replace(/"method":"\w+"/, '"method":{}')),
]);
