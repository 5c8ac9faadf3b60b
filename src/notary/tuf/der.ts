/** As much DER as keys and certificates need that node:crypto does not write. @see X.690 section 8 */
export function tlv(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(contents);
  const { length } = content;
  const head = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...head]), content]);
}

export const sequence = (...contents: readonly Uint8Array[]): Buffer => tlv(0x30, ...contents);
export const octets = (...contents: readonly Uint8Array[]): Buffer => tlv(0x04, ...contents);
/** @param hex contents of the encoding, without tag and length */
export const oid = (hex: string): Buffer => tlv(0x06, Buffer.from(hex, "hex"));
/** A whole number of bits. */
export const bits = (content: Uint8Array): Buffer => tlv(0x03, Buffer.from([0]), content);
/** Of bytes whose first bit is not set: such a number is positive. */
export const integer = (bytes: Uint8Array): Buffer => tlv(0x02, bytes);
