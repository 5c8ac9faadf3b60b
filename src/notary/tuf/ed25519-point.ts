import { VerificationError } from "./error.ts";

const P = 2n ** 255n - 19n;
/** The y of the eight points of small order: with such a key one signature fits every message (hardening M1, L01). */
const SMALL_ORDER_Y: readonly bigint[] = [
  0n,
  1n,
  P - 1n,
  fromLittleEndian("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
  fromLittleEndian("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
];

/**
 * `raw` as an Ed25519 public key: 32 bytes, y below the field's prime (a second spelling of one key would give it a
 * second key id), and not of small order.
 * @throws VerificationError KEY
 * @see RFC 8032 section 5.1.3
 */
export function checkEd25519Point(raw: Buffer): void {
  if (raw.length !== 32) throw new VerificationError("KEY", "an Ed25519 key has 32 bytes");
  const y = fromLittleEndian(raw.toString("hex")) & (2n ** 255n - 1n);
  if (y >= P) throw new VerificationError("KEY", "an Ed25519 key is not in its canonical form");
  if (SMALL_ORDER_Y.includes(y)) throw new VerificationError("KEY", "an Ed25519 key is a point of small order");
}

function fromLittleEndian(hex: string): bigint {
  return BigInt(`0x${Buffer.from(hex, "hex").reverse().toString("hex")}`);
}
