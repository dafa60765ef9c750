// The bundle: which keys to seal to, and which circuits there are. It is believed for its signature under the
// identity that the user has pinned, and not for where it came from.

import { createPublicKey, verify } from "node:crypto";
import { type Bytes, concat, fromBase64, hex, sha256, utf8 } from "./bytes.js";
import { Malformed, Members } from "./json.js";
import { type Circuit, type Deployment, type Digest, type KeyId, SHAPES } from "./names.js";
import { idOfKey, SCHEME_NAMES, SCHEMES, type Scheme } from "./seal.js";

export interface BundleKey {
  id: KeyId;
  scheme: Scheme;
  publicKey: Bytes;
  sealFrom: number;
  sealUntil: number;
  openUntil: number;
}

export interface BundleCircuit {
  id: Circuit;
  verifyingKey: Digest;
  /** The keys under which a proof of this circuit may verify: one, unless the circuit has several. */
  proofKeys: Digest[];
  mediaType: string;
  witnessBytesMax: number;
}

export interface Bundle {
  deployment: Deployment;
  serial: number;
  expiresAt: number;
  keys: BundleKey[];
  circuits: BundleCircuit[];
}

export class BundleRefused extends Error {
  constructor(
    readonly reason: "signature" | "malformed" | "expired" | "rollback",
    message: string,
  ) {
    super(message);
  }
}

/** The public half of the identity key, `ed25519:` and base64 of 32 bytes, as the operator handed it out. */
export class Identity {
  private constructor(
    readonly printed: string,
    private readonly raw: Bytes,
  ) {}

  static parse(printed: string): Identity {
    const raw = /^ed25519:[A-Za-z0-9+/]{43}=$/.test(printed) ? fromBase64(printed.slice(8)) : undefined;
    if (raw?.length !== 32) throw new Error("not an identity: ed25519: and base64 of 32 bytes");
    return new Identity(printed, raw);
  }

  signed(message: Uint8Array, signature: Uint8Array): boolean {
    if (signature.length !== 64 || isWeakPoint(this.raw) || isWeakPoint(signature.subarray(0, 32))) return false;
    const jwk = { kty: "OKP", crv: "Ed25519", x: Buffer.from(this.raw).toString("base64url") };
    return verify(null, message, createPublicKey({ key: jwk, format: "jwk" }), signature);
  }

  /** A name for a file that belongs to this identity alone. */
  fileName(): string {
    return `${hex(sha256(this.raw).subarray(0, 8))}.json`;
  }
}

// The y coordinates of the points of small order on edwards25519, little-endian, without the sign of x.
const SMALL_ORDER = [
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];

/** Of small order, under which anything verifies, or a coordinate that is not reduced: OpenSSL refuses neither. */
function isWeakPoint(point: Uint8Array): boolean {
  const y = Uint8Array.from(point);
  y[31] = (y[31] ?? 0) & 0x7f;
  const number = BigInt(`0x${hex(Uint8Array.from(y).reverse())}`);
  return SMALL_ORDER.includes(hex(y)) || number >= 2n ** 255n - 19n;
}

/** No job may outlive its key: it lives for 24 hours, and its answer may be ten minutes late. */
const KEY_OUTLIVES_BUNDLE = 24 * 3600 + 600;
const U32_MAX = 2 ** 32 - 1;

/**
 * The bundle in `signedBytes`, if this client may believe it.
 *
 * `seen` is the largest serial that it has accepted from this identity, 0 where it has seen none.
 */
export function verifyBundle(signedBytes: Uint8Array, identity: Identity, now: number, seen: number): Bundle {
  const bundle = readSigned(signedBytes, identity);
  if (now >= bundle.expiresAt) throw new BundleRefused("expired", "it has expired: the operator must sign a new one");
  if (bundle.serial < seen) throw new BundleRefused("rollback", `serial ${bundle.serial} after ${seen} was seen`);
  return bundle;
}

/** Everything but time and serial, for a bundle that this client has kept. */
export function readSigned(signedBytes: Uint8Array, identity: Identity): Bundle {
  try {
    const signed = Members.parse("signed bundle", signedBytes);
    if (signed.names().some((name) => name !== "payload" && name !== "signature")) {
      throw new Malformed("the signed bundle has a member that nobody signed");
    }
    const payload = signed.bytes("payload");
    if (!identity.signed(concat(utf8("sealprove/1 bundle\n"), payload), signed.bytes("signature"))) {
      throw new BundleRefused("signature", "it is not signed by the pinned identity");
    }
    return readBundle(Members.parse("bundle", payload), identity);
  } catch (error) {
    throw error instanceof Malformed ? new BundleRefused("malformed", error.message) : error;
  }
}

function readBundle(bundle: Members, identity: Identity): Bundle {
  bundle.text("version", /^1$/);
  if (bundle.text("identity") !== identity.printed) throw new Malformed("it names another identity than its signer's");
  bundle.whole("issued_at");
  const expiresAt = bundle.whole("expires_at");
  const keys = bundle.list("keys").flatMap((key) => readKey(key, expiresAt));
  const circuits = bundle.list("circuits").map(readCircuit);
  if (hasTwice(keys) || hasTwice(circuits)) throw new Malformed("a key or a circuit stands twice in the bundle");
  return {
    deployment: bundle.text("deployment", SHAPES.deployment) as Deployment,
    serial: bundle.whole("serial"),
    expiresAt,
    keys,
    circuits,
  };
}

function hasTwice(listed: { id: string }[]): boolean {
  return new Set(listed.map(({ id }) => id)).size !== listed.length;
}

/** The key; none where its scheme is one that this client does not know, whatever else is in it. */
function readKey(key: Members, expiresAt: number): BundleKey[] {
  const scheme = SCHEME_NAMES.find((name) => name === key.text("scheme"));
  if (scheme === undefined) return [];
  const read: BundleKey = {
    id: key.text("id", SHAPES.keyId) as KeyId,
    scheme,
    publicKey: key.bytes("public_key"),
    sealFrom: key.whole("seal_from"),
    sealUntil: key.whole("seal_until"),
    openUntil: key.whole("open_until"),
  };
  if (read.publicKey.length !== SCHEMES[scheme].publicKey) throw new Malformed(`key ${read.id}: wrong size`);
  if (read.id !== idOfKey(scheme, read.publicKey)) throw new Malformed(`key ${read.id}: not the id of its key`);
  if (read.sealFrom >= read.sealUntil) throw new Malformed(`key ${read.id}: never sealed to`);
  if (read.openUntil < expiresAt + KEY_OUTLIVES_BUNDLE) throw new Malformed(`key ${read.id}: could strand a job`);
  return [read];
}

function readCircuit(circuit: Members): BundleCircuit {
  const verifyingKey = circuit.text("verifying_key", SHAPES.digest) as Digest;
  circuit.whole("answer_bytes_max", U32_MAX);
  return {
    id: circuit.text("id", SHAPES.circuit) as Circuit,
    verifyingKey,
    proofKeys: proofKeys(circuit, verifyingKey),
    mediaType: circuit.text("media_type"),
    witnessBytesMax: circuit.whole("witness_bytes_max", U32_MAX),
  };
}

/** A circuit with several verifying keys names them all by the digest of their sorted lines; with one, that one. */
function proofKeys(circuit: Members, verifyingKey: Digest): Digest[] {
  const keys = circuit.names().includes("verifying_keys") ? circuit.list("verifying_keys") : [];
  if (keys.length === 0) return [verifyingKey];
  const digests = keys.map((key) => key.text("digest", SHAPES.digest) as Digest);
  const lines = keys.map((key, at) => Buffer.from(`${key.text("label")}:${digests[at]}\n`, "utf8"));
  const ofAll = digests.length === 1 ? digests[0] : `sha256:${hex(sha256(...lines.sort(Buffer.compare)))}`;
  if (ofAll !== verifyingKey) {
    throw new Malformed("a circuit's verifying keys do not make its digest");
  }
  return digests;
}

/**
 * The key to seal to for a job that ends at `expires`: of the schemes in `schemes`, which stand in the order of
 * preference, and within a scheme the one with the latest `seal_from`. There is no other to fall back to.
 */
export function chooseKey(bundle: Bundle, now: number, expires: number, schemes: readonly Scheme[]): BundleKey {
  const usable = bundle.keys.filter((k) => k.sealFrom <= now && now < k.sealUntil && expires <= k.openUntil);
  for (const scheme of schemes) {
    const [newest] = usable.filter((k) => k.scheme === scheme).sort((a, b) => b.sealFrom - a.sealFrom);
    if (newest !== undefined) return newest;
  }
  throw new Error(`the bundle has no key of ${schemes.join(" or ")} for a job that ends at ${expires}: fetch it again`);
}
