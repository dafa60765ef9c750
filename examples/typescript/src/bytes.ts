// Bytes and their spellings. Every decoder here takes one spelling of a value and refuses all others, since
// digests, signatures and tags are over bytes and a second spelling would be a second message.

import { createHash } from "node:crypto";

export type Bytes = Uint8Array<ArrayBuffer>;

export function utf8(text: string): Bytes {
  return Uint8Array.from(Buffer.from(text, "utf8"));
}

/** Text of bytes that are UTF-8, or `undefined`. */
export function textOf(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

export function concat(...parts: Uint8Array[]): Bytes {
  return Uint8Array.from(Buffer.concat(parts));
}

export function sha256(...parts: Uint8Array[]): Bytes {
  return Uint8Array.from(createHash("sha256").update(Buffer.concat(parts)).digest());
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

export function fromHex(text: string): Bytes {
  if (!/^([0-9a-f]{2})*$/.test(text)) throw new Error("not lower-case hexadecimal digits");
  return Uint8Array.from(Buffer.from(text, "hex"));
}

export function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}

/** Bytes of padded standard base64, or `undefined`. Node decodes nearly anything, so what it read is written again. */
export function fromBase64(text: string): Bytes | undefined {
  const bytes = Uint8Array.from(Buffer.from(text, "base64"));
  return base64(bytes) === text ? bytes : undefined;
}

export function equal(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.compare(left, right) === 0;
}
