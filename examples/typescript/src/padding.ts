// Length, content, zeros: PADMÉ with a floor of 1 KiB, so that a size says little of what is in it.

import { type Bytes, concat } from "./bytes.js";

/** The size to which `length` bytes, with their own four of length, are padded. */
export function padded(length: number): number {
  if (length <= 1024) return 1024;
  const e = 31 - Math.clz32(length);
  const s = 32 - Math.clz32(e); // floor(log2(e)) + 1
  const step = 2 ** (e - s);
  return Math.ceil(length / step) * step;
}

export const paddedWitness = (bytes: number): number => padded(4 + bytes);

export function pad(content: Uint8Array): Bytes {
  const plaintext = new Uint8Array(padded(4 + content.length));
  new DataView(plaintext.buffer).setUint32(0, content.length);
  plaintext.set(content, 4);
  return plaintext;
}

/** The content, or `undefined` where length, size or zeros are not as `pad` makes them. */
export function unpad(plaintext: Uint8Array): Bytes | undefined {
  if (plaintext.length < 4) return undefined;
  const length = new DataView(plaintext.buffer, plaintext.byteOffset).getUint32(0);
  const end = 4 + length;
  if (end > plaintext.length || padded(end) !== plaintext.length) return undefined;
  if (plaintext.subarray(end).some((byte) => byte !== 0)) return undefined;
  return concat(plaintext.subarray(4, end));
}
