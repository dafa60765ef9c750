// Sealing a witness: HPKE (RFC 9180) in base mode, one shot, with the job's header bound in `info`.
//
// What leaves this file is a sealed payload, and the secret that opens its answer and nothing else.

import { CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from "@hpke/core";
import { Chacha20Poly1305 } from "@hpke/chacha20poly1305";
import { XWing } from "@hpke/hybridkem-x-wing";
import { type Bytes, concat, hex, sha256, utf8 } from "./bytes.js";
import { type AnswerMode, type Deployment, type Digest, type JobSubject, type KeyId, keyId } from "./names.js";
import { pad } from "./padding.js";

export type Scheme = "xwing" | "x25519";

/** The schemes of this page, in the order in which a client prefers them, with the sizes of their parts. */
export const SCHEMES = {
  xwing: { kem: () => new XWing(), publicKey: 1216, enc: 1120 },
  x25519: { kem: () => new DhkemX25519HkdfSha256(), publicKey: 32, enc: 32 },
} as const;

export const SCHEME_NAMES = Object.keys(SCHEMES) as Scheme[];

export function suite(scheme: Scheme): CipherSuite {
  return new CipherSuite({ kem: SCHEMES[scheme].kem(), kdf: new HkdfSha256(), aead: new Chacha20Poly1305() });
}

export function idOfKey(scheme: Scheme, publicKey: Uint8Array): KeyId {
  return keyId(hex(sha256(utf8(`sealprove/1 key\n${scheme}\n`), publicKey).subarray(0, 16)));
}

/** What a job's header and subject say: the one value that subject, headers and `info` are made of. */
export interface JobHeader extends JobSubject {
  deployment: Deployment;
  key: KeyId;
  expires: number;
  answer: AnswerMode;
  verifyingKey: Digest | "any";
}

export function headersOf(header: JobHeader): Record<string, string> {
  return {
    "Sealprove-Version": "1",
    "Sealprove-Key": header.key,
    "Sealprove-Expires": String(header.expires),
    "Sealprove-Answer": header.answer,
    "Sealprove-Verifying-Key": header.verifyingKey,
  };
}

export function infoOf(header: JobHeader): Bytes {
  const lines = [
    "sealprove/1 job",
    header.deployment,
    header.tenant,
    header.lane,
    header.circuit,
    header.job,
    header.key,
    String(header.expires),
    header.answer,
    header.verifyingKey,
  ];
  return utf8(lines.map((line) => `${line}\n`).join(""));
}

/** What is published, and what its answer is opened with. */
export interface Sealed {
  payload: Bytes;
  enc: Bytes;
  answerSecret: Bytes;
}

export async function seal(scheme: Scheme, publicKey: Bytes, info: Bytes, witness: Uint8Array): Promise<Sealed> {
  const hpke = suite(scheme);
  const recipientPublicKey = await hpke.kem.deserializePublicKey(publicKey);
  const context = await hpke.createSenderContext({ recipientPublicKey, info });
  const ciphertext = new Uint8Array(await context.seal(pad(witness)));
  const answerSecret = new Uint8Array(await context.export(utf8("sealprove/1 answer"), 32));
  const enc = new Uint8Array(context.enc);
  return { payload: concat(enc, ciphertext), enc, answerSecret };
}
