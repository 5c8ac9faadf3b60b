/**
 * An ECDSA signature in DER, as DSSE and cosign carry it, as the raw r‖s that keys verify: each `size` bytes. Undefined for
 * all but the one DER spelling.
 * @see RFC 3279 section 2.2.3; hardening T20
 */
export function findRawEcdsa(der: Uint8Array, size: number): Buffer | undefined {
  const bytes = Buffer.from(der);
  // P-521 needs a length of two bytes.
  const head = bytes[1] === 0x81 ? 3 : 2;
  const rLength = bytes[head + 1] ?? 0;
  const r = findNumber(bytes.subarray(head + 2, head + 2 + rLength), size);
  const s = findNumber(bytes.subarray(head + rLength + 4), size);
  if (r === undefined || s === undefined) return undefined;
  // What is not written as DER writes it is somebody's second spelling.
  return toDer(r, s).equals(bytes) ? Buffer.concat([r, s]) : undefined;
}

/** The way back: raw r‖s, as TUF carries it, in DER. */
export function toDerEcdsa(raw: Uint8Array): Buffer {
  const bytes = Buffer.from(raw);
  return toDer(bytes.subarray(0, bytes.length / 2), bytes.subarray(bytes.length / 2));
}

function findNumber(integer: Buffer, size: number): Buffer | undefined {
  const digits = integer[0] === 0 ? integer.subarray(1) : integer;
  return digits.length > size ? undefined : Buffer.concat([Buffer.alloc(size - digits.length), digits]);
}

function toDer(r: Buffer, s: Buffer): Buffer {
  const body = Buffer.concat([toInteger(r), toInteger(s)]);
  const length = body.length < 0x80 ? [body.length] : [0x81, body.length];
  return Buffer.concat([Buffer.from([0x30, ...length]), body]);
}

function toInteger(number: Buffer): Buffer {
  const start = number.findIndex((byte) => byte !== 0);
  const digits = start < 0 ? Buffer.from([0]) : number.subarray(start);
  const padded = (digits[0] ?? 0) < 0x80 ? digits : Buffer.concat([Buffer.from([0]), digits]);
  return Buffer.concat([Buffer.from([0x02, padded.length]), padded]);
}
