// The other side, as far as test vectors need it: what a recipient checks of a job's message, and how it opens the
// seal. A client has no use for this file; it is here so that `testkit.ts` can judge the vectors in `job/`.

import { createPrivateKey, createPublicKey } from "node:crypto";
import { XWing } from "@hpke/hybridkem-x-wing";
import { type Bytes, concat, textOf, utf8 } from "./bytes.js";
import { circuit, type Deployment, digest, type Digest, type JobSubject, type KeyId, keyId } from "./names.js";
import { parseJobSubject, type Prefix } from "./names.js";
import { paddedWitness, unpad } from "./padding.js";
import { infoOf, type JobHeader, SCHEMES, type Scheme, suite } from "./seal.js";

export interface Recipient {
  prefix: Prefix;
  deployment: Deployment;
  keys: Map<KeyId, { scheme: Scheme; privateKey: Bytes }>;
  /** Keys that it held once. */
  destroyed: KeyId[];
  circuits: { id: string; verifyingKey: Digest; witnessBytesMax: number }[];
  now: number;
}

export interface JobMessage {
  storedAt: number;
  subject: string;
  headers: [name: string, value: string][];
  payload: Bytes;
}

/** A code of the protocol, in the testkit's spelling, or what stood in the seal. */
export type Judgement = { verdict: string } | { verdict: "opens"; info: Bytes; witness: Bytes; answerSecret: Bytes };

const DAY = 24 * 3600;
const CLOCKS_DIFFER = 300;
const KNOWN_FORMATS = ["PCZT", "-----BEGIN ", "age-encryption.org/", "%PDF-", "PK\x03\x04", "midnight:"];

export async function judge(recipient: Recipient, message: JobMessage): Promise<Judgement> {
  let subject: JobSubject;
  try {
    subject = parseJobSubject(recipient.prefix, message.subject);
  } catch {
    return { verdict: "not-a-job" };
  }
  if (isPlaintext(message.payload)) return { verdict: "plaintext-rejected" };
  const header = readHeader(recipient.deployment, subject, message.headers);
  if (typeof header === "string") return { verdict: header };
  return refusal(recipient, header, message) ?? (await open(recipient, header, message.payload));
}

/** JSON, also after a byte order mark, or a format that is known by how it begins. */
function isPlaintext(payload: Bytes): boolean {
  const start = Buffer.from(payload.subarray(0, 32)).toString("latin1");
  if (KNOWN_FORMATS.some((format) => start.startsWith(format))) return true;
  const text = textOf(payload);
  if (text === undefined) return false;
  try {
    JSON.parse(text.replace(/^\ufeff/, ""));
    return true;
  } catch {
    return false;
  }
}

const NAMES = ["Version", "Key", "Expires", "Answer", "Verifying-Key"].map((name) => `Sealprove-${name}`);

/** The header, or the code with which it is refused. */
function readHeader(deployment: Deployment, subject: JobSubject, headers: JobMessage["headers"]): JobHeader | string {
  const ours = headers.filter(([name]) => name.toLowerCase().startsWith("sealprove-"));
  const values = new Map(ours.map(([name, value]): [string, string] => [name, value.trim()]).reverse());
  const version = values.get("Sealprove-Version"); // of several, the first
  if (version !== undefined && version !== "1") return "unsupported-version";
  if (ours.length !== 5 || NAMES.some((name) => !values.has(name))) return "malformed-job";
  const value = (name: string): string => values.get(`Sealprove-${name}`) ?? "";
  const answer = value("Answer");
  if (answer !== "sealed" && answer !== "open") return "malformed-job";
  if (!/^(0|[1-9][0-9]{0,15})$/.test(value("Expires"))) return "malformed-job";
  try {
    const verifyingKey = value("Verifying-Key") === "any" ? "any" : digest(value("Verifying-Key"));
    return {
      ...subject,
      deployment,
      key: keyId(value("Key")),
      expires: Number(value("Expires")),
      answer,
      verifyingKey,
    };
  } catch {
    return "malformed-job";
  }
}

/** What is wrong with the job that can be seen without a key. */
function refusal(recipient: Recipient, header: JobHeader, message: JobMessage): Judgement | undefined {
  const key = recipient.keys.get(header.key);
  const overhead = SCHEMES[key?.scheme ?? "x25519"].enc + 16;
  if (message.payload.length < overhead + paddedWitness(0)) return { verdict: "malformed-job" };
  if (header.expires > message.storedAt + DAY + CLOCKS_DIFFER) return { verdict: "malformed-job" };
  const listed = recipient.circuits.find((one) => one.id === circuit(header.circuit));
  if (listed === undefined) return { verdict: "circuit-not-found" };
  const pinned = header.verifyingKey;
  if (pinned !== "any" && pinned !== listed.verifyingKey) return { verdict: "verifying-key-mismatch" };
  if (header.expires <= Math.max(recipient.now, message.storedAt)) return { verdict: "expired" };
  if (key === undefined) return { verdict: recipient.destroyed.includes(header.key) ? "key-retired" : "key-unknown" };
  if (message.payload.length > overhead + paddedWitness(listed.witnessBytesMax))
    return { verdict: "witness-too-large" };
  return undefined;
}

async function open(recipient: Recipient, header: JobHeader, payload: Bytes): Promise<Judgement> {
  const key = recipient.keys.get(header.key);
  const info = infoOf(header);
  const opened = key === undefined ? undefined : await openSeal(key.scheme, key.privateKey, info, payload);
  if (opened === undefined) return { verdict: "unseal-failed" };
  const listed = recipient.circuits.find((one) => one.id === header.circuit);
  if (opened.witness.length > (listed?.witnessBytesMax ?? 0)) return { verdict: "witness-too-large" };
  return { verdict: "opens", info, ...opened };
}

/** The witness and the answer secret, or `undefined`: one failure, without a reason. */
export async function openSeal(
  scheme: Scheme,
  privateKey: Bytes,
  info: Bytes,
  payload: Bytes,
): Promise<{ witness: Bytes; answerSecret: Bytes } | undefined> {
  const hpke = suite(scheme);
  const length = SCHEMES[scheme].enc;
  try {
    const recipientKey = await hpke.kem.importKey("raw", privateKey.buffer, false);
    const context = await hpke.createRecipientContext({ recipientKey, enc: concat(payload.subarray(0, length)), info });
    const witness = unpad(new Uint8Array(await context.open(concat(payload.subarray(length)))));
    if (witness === undefined) return undefined;
    return { witness, answerSecret: new Uint8Array(await context.export(utf8("sealprove/1 answer"), 32)) };
  } catch {
    return undefined;
  }
}

/** The public key of a raw private key, from which the key's id follows. */
export async function publicKeyOf(scheme: Scheme, privateKey: Bytes): Promise<Bytes> {
  if (scheme === "xwing") {
    const kem = new XWing();
    const pair = await kem.generateKeyPairDerand(privateKey);
    return new Uint8Array(await kem.serializePublicKey(pair.publicKey));
  }
  const pkcs8 = Buffer.concat([Buffer.from("302e020100300506032b656e04220420", "hex"), privateKey]); // RFC 8410
  const key = createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" });
  return Uint8Array.from(Buffer.from(createPublicKey(key).export({ format: "jwk" }).x ?? "", "base64url"));
}
