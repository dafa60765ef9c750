// Opening an answer: what of a message on the answer stream a client may believe.
//
// Whoever may publish can write an answer's headers. So either a message opens with the secret of this job, and
// is an answer; or it is a hint, which may be shown as such and decides nothing but whether to try again.

import { createDecipheriv, hkdfSync } from "node:crypto";
import { type Bytes, concat, fromBase64, textOf, utf8 } from "./bytes.js";
import { Malformed, Members } from "./json.js";
import { type Circuit, type Digest, type Job, SHAPES, type Tenant } from "./names.js";
import { unpad } from "./padding.js";

/** The protocol's table, which is closed: outcome, and whether the same witness may succeed as a new job. */
export const CODES = new Map<string, { outcome: string; retryable: boolean }>([
  ["OK", { outcome: "proved", retryable: false }],
  ["MALFORMED_JOB", { outcome: "refused", retryable: false }],
  ["UNSUPPORTED_VERSION", { outcome: "refused", retryable: false }],
  ["PLAINTEXT_REJECTED", { outcome: "refused", retryable: false }],
  ["WITNESS_TOO_LARGE", { outcome: "refused", retryable: false }],
  ["CIRCUIT_NOT_FOUND", { outcome: "refused", retryable: false }],
  ["VERIFYING_KEY_MISMATCH", { outcome: "refused", retryable: false }],
  ["NOT_AUTHORIZED", { outcome: "refused", retryable: false }],
  ["KEY_UNKNOWN", { outcome: "refused", retryable: true }],
  ["KEY_RETIRED", { outcome: "refused", retryable: true }],
  ["UNSEAL_FAILED", { outcome: "refused", retryable: false }],
  ["INVALID_WITNESS", { outcome: "refused", retryable: false }],
  ["EXPIRED", { outcome: "expired", retryable: false }],
  ["CANCELLED", { outcome: "cancelled", retryable: false }],
  ["TIMEOUT", { outcome: "failed", retryable: true }],
  ["OUT_OF_MEMORY", { outcome: "failed", retryable: true }],
  ["PROOF_GENERATION_FAILED", { outcome: "failed", retryable: false }],
  ["ATTEMPTS_EXHAUSTED", { outcome: "failed", retryable: true }],
]);

/** A message as it lies on the answer stream. A header is what the NATS library reads of it. */
export interface Message {
  header(name: string): string | undefined;
  payload: Uint8Array;
}

/** What a client has kept to open the answer of its job. */
export interface AnswerKeys {
  info: Bytes;
  enc: Bytes;
  answerSecret: Bytes;
}

/** What it has kept besides, to check what was opened. */
export interface Expected {
  tenant: Tenant;
  circuit: Circuit;
  job: Job;
  /** The verifying keys that the bundle lists for the circuit. */
  proofKeys: Digest[];
}

export interface Proof {
  verifyingKey: Digest;
  proof: Bytes;
  publicInputs: Bytes;
  output?: Bytes;
}

export type Opened =
  { kind: "answer"; code: string; document: Bytes } | { kind: "hint"; code?: string; retryable: boolean; why: string };

interface AnswerHeaders {
  outcome: string;
  code: string;
  mode: string;
  contentType: string;
}

const PRINTABLE = /^[\x20-\x7e]{1,256}$/;

/** Opens the message, or says why it is but a hint. */
export function openAnswer(keys: AnswerKeys, message: Message): Opened {
  const headers = readHeaders(message);
  if (headers === undefined) return { kind: "hint", retryable: false, why: "its headers are not those of an answer" };
  const document = openDocument(keys, headers, message);
  if (document !== undefined) return { kind: "answer", code: headers.code, document };
  const retryable = CODES.get(headers.code)?.retryable ?? false;
  return { kind: "hint", code: headers.code, retryable, why: "nobody who had opened the job has authenticated it" };
}

function readHeaders(message: Message): AnswerHeaders | undefined {
  const outcome = message.header("Sealprove-Outcome");
  const code = message.header("Sealprove-Code");
  const mode = message.header("Sealprove-Answer");
  const contentType = message.header("Content-Type");
  if (message.header("Sealprove-Version") !== "1" || code === undefined || contentType === undefined) return undefined;
  if (outcome === undefined || CODES.get(code)?.outcome !== outcome) return undefined;
  if ((mode !== "sealed" && mode !== "open") || !PRINTABLE.test(contentType)) return undefined;
  return { outcome, code, mode, contentType };
}

function openDocument(keys: AnswerKeys, headers: AnswerHeaders, message: Message): Bytes | undefined {
  if (headers.mode !== askedFor(keys.info)) return undefined;
  const aad = concat(keys.info, utf8(`answer\n${headers.outcome}\n${headers.code}\n${headers.contentType}\n`));
  if (headers.mode === "sealed") return openSealed(keys, aad, message.payload);
  const tag = fromBase64(message.header("Sealprove-Tag") ?? "");
  if (tag === undefined || tag.length !== 48) return undefined;
  const nothing = decrypt(keys, tag.subarray(0, 32), concat(aad, message.payload), tag.subarray(32));
  return nothing === undefined ? undefined : concat(message.payload);
}

/** The answer mode that was asked for stands in the ninth line of `info`. */
function askedFor(info: Uint8Array): string | undefined {
  return textOf(info)?.split("\n")[8];
}

function openSealed(keys: AnswerKeys, aad: Bytes, payload: Uint8Array): Bytes | undefined {
  if (payload.length < 32 + 16) return undefined;
  const plaintext = decrypt(keys, payload.subarray(0, 32), aad, payload.subarray(32));
  return plaintext === undefined ? undefined : unpad(plaintext);
}

/** ChaCha20-Poly1305 under the keys of an answer (RFC 9458 section 4.4). */
function decrypt(keys: AnswerKeys, nonce: Uint8Array, aad: Bytes, sealed: Uint8Array): Bytes | undefined {
  const salt = concat(keys.enc, nonce);
  const key = new Uint8Array(hkdfSync("sha256", keys.answerSecret, salt, "key", 32));
  const iv = new Uint8Array(hkdfSync("sha256", keys.answerSecret, salt, "nonce", 12));
  const ciphertext = sealed.subarray(0, sealed.length - 16);
  const aead = createDecipheriv("chacha20-poly1305", key, iv, { authTagLength: 16 });
  aead.setAAD(aad, { plaintextLength: ciphertext.length });
  aead.setAuthTag(sealed.subarray(sealed.length - 16));
  try {
    return concat(aead.update(ciphertext), aead.final());
  } catch {
    return undefined;
  }
}

export class AnswerRefused extends Error {}

/** What an opened document says: a proof of this job, or why there is none. */
export type Result =
  { kind: "proved"; proof: Proof } | { kind: "error"; code: string; message: string; retryable: boolean };

/** Checks an opened document against its job. The proof itself is for the caller to verify. */
export function checkDocument(expected: Expected, code: string, document: Uint8Array): Result {
  try {
    return readDocument(expected, code, Members.parse("answer", document));
  } catch (error) {
    throw error instanceof Malformed ? new AnswerRefused(error.message) : error;
  }
}

function readDocument(expected: Expected, code: string, answer: Members): Result {
  answer.text("version", /^1$/);
  for (const name of ["tenant", "circuit", "job"] as const) {
    if (answer.text(name) !== expected[name]) throw new AnswerRefused(`the answer is for another ${name}`);
  }
  answer.whole("attempt");
  answer.inner("timings_ms");
  if (answer.has("proof") === answer.has("error")) throw new AnswerRefused("neither a proof nor an error, or both");
  return answer.has("proof") ? readProof(expected, code, answer) : readError(code, answer.inner("error"));
}

function readProof(expected: Expected, code: string, answer: Members): Result {
  if (code !== "OK") throw new AnswerRefused("a proof with the code of an error");
  const verifyingKey = answer.text("verifying_key", SHAPES.digest) as Digest;
  if (!expected.proofKeys.includes(verifyingKey)) throw new AnswerRefused("a proof under a key not in the bundle");
  const proof = { verifyingKey, proof: answer.bytes("proof"), publicInputs: answer.bytes("public_inputs") };
  return { kind: "proved", proof: answer.has("output") ? { ...proof, output: answer.bytes("output") } : proof };
}

function readError(code: string, error: Members): Result {
  if (code === "OK" || error.text("code") !== code) throw new AnswerRefused("header and document give two codes");
  error.text("step");
  return { kind: "error", code, message: error.text("message"), retryable: error.flag("retryable") };
}
