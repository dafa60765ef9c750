"""The seal, from its specifications: RFC 9180, draft-connolly-cfrg-xwing-kem, RFC 9458 section 4.4.

Everything is deterministic: what should be random is an argument. Nothing here is for anything but test vectors.
"""

import hashlib
import hmac
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from kyber_py.ml_kem import ML_KEM_768

XWING_LABEL = b"\\.//^\\"
CT_M_BYTES = 1088
PK_M_BYTES = 1184
ENC_BYTES = {"x25519": 32, "xwing": CT_M_BYTES + 32}
KEM_ID = {"x25519": 0x0020, "xwing": 0x647A}
HKDF_SHA256 = 0x0001
CHACHA20POLY1305 = 0x0003


def extract(salt: bytes, ikm: bytes) -> bytes:
    return hmac.digest(salt or bytes(32), ikm, "sha256")


def expand(prk: bytes, info: bytes, length: int) -> bytes:
    out, block, counter = b"", b"", 1
    while len(out) < length:
        block = hmac.digest(prk, block + info + bytes([counter]), "sha256")
        out, counter = out + block, counter + 1
    return out[:length]


def labeled_extract(suite: bytes, salt: bytes, label: bytes, ikm: bytes) -> bytes:
    return extract(salt, b"HPKE-v1" + suite + label + ikm)


def labeled_expand(suite: bytes, prk: bytes, label: bytes, info: bytes, length: int) -> bytes:
    return expand(prk, length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info, length)


def x25519(private: bytes, public: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(public))


def x25519_public(private: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def xwing_expand(seed: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """sk_M, sk_X, pk_M, pk_X of a private key: `expandDecapsulationKey`."""
    expanded = hashlib.shake_256(seed).digest(96)
    pk_m, sk_m = ML_KEM_768.key_derive(expanded[:64])
    return sk_m, expanded[64:], pk_m, x25519_public(expanded[64:])


def public_key(scheme: str, private: bytes) -> bytes:
    if scheme == "x25519":
        return x25519_public(private)
    _, _, pk_m, pk_x = xwing_expand(private)
    return pk_m + pk_x


def key_id(scheme: str, public: bytes) -> str:
    return hashlib.sha256(b"sealprove/1 key\n" + scheme.encode() + b"\n" + public).hexdigest()[:32]


def dhkem_secret(dh: bytes, enc: bytes, public: bytes) -> bytes:
    """`ExtractAndExpand` of RFC 9180 section 4.1."""
    suite = b"KEM" + KEM_ID["x25519"].to_bytes(2, "big")
    return labeled_expand(suite, labeled_extract(suite, b"", b"eae_prk", dh), b"shared_secret", enc + public, 32)


def xwing_combiner(ss_m: bytes, ss_x: bytes, ct_x: bytes, pk_x: bytes) -> bytes:
    return hashlib.sha3_256(ss_m + ss_x + ct_x + pk_x + XWING_LABEL).digest()


def encapsulate(scheme: str, public: bytes, ephemeral: bytes, top_bit: bool = False) -> tuple[bytes, bytes]:
    """The shared secret and `enc`; with `top_bit`, in which the bit that X25519 ignores is set."""
    def spelled(point: bytes) -> bytes:
        return point[:-1] + bytes([point[-1] | 0x80]) if top_bit else point

    if scheme == "x25519":
        enc = spelled(x25519_public(ephemeral))
        return dhkem_secret(x25519(ephemeral, public), enc, public), enc
    pk_m, pk_x = public[:PK_M_BYTES], public[PK_M_BYTES:]
    ss_m, ct_m = ML_KEM_768._encaps_internal(pk_m, ephemeral[:32])
    ct_x = spelled(x25519_public(ephemeral[32:]))
    return xwing_combiner(ss_m, x25519(ephemeral[32:], pk_x), ct_x, pk_x), ct_m + ct_x


@dataclass
class Context:
    """An HPKE context. `mode`, `aead_id` and the like are arguments so that they can be wrong."""

    shared_secret: bytes
    info: bytes
    kem_id: int
    kdf_id: int = HKDF_SHA256
    aead_id: int = CHACHA20POLY1305
    mode: int = 0
    psk: bytes = b""
    psk_id: bytes = b""

    def __post_init__(self):
        ids = (self.kem_id, self.kdf_id, self.aead_id)
        self.suite = b"HPKE" + b"".join(number.to_bytes(2, "big") for number in ids)
        psk_id_hash = labeled_extract(self.suite, b"", b"psk_id_hash", self.psk_id)
        info_hash = labeled_extract(self.suite, b"", b"info_hash", self.info)
        schedule = bytes([self.mode]) + psk_id_hash + info_hash
        secret = labeled_extract(self.suite, self.shared_secret, b"secret", self.psk)
        self.key = labeled_expand(self.suite, secret, b"key", schedule, 32)
        self.base_nonce = labeled_expand(self.suite, secret, b"base_nonce", schedule, 12)
        self.exporter_secret = labeled_expand(self.suite, secret, b"exp", schedule, 32)

    def seal(self, plaintext: bytes, aad: bytes = b"", sequence: int = 0) -> bytes:
        nonce = int.from_bytes(self.base_nonce, "big") ^ sequence
        return ChaCha20Poly1305(self.key).encrypt(nonce.to_bytes(12, "big"), plaintext, aad)

    def export(self, label: bytes, length: int = 32) -> bytes:
        return labeled_expand(self.suite, self.exporter_secret, b"sec", label, length)


def padded_length(length: int) -> int:
    if length <= 1024:
        return 1024
    e = length.bit_length() - 1
    s = e.bit_length()
    step = 1 << (e - s)
    return -(-length // step) * step


def pad(message: bytes) -> bytes:
    plain = len(message).to_bytes(4, "big") + message
    return plain + bytes(padded_length(len(plain)) - len(plain))


@dataclass
class AnswerKeys:
    """RFC 9458 section 4.4, with the exported secret in place of its own."""

    salt: bytes
    secret: bytes
    key_label: bytes = b"key"
    nonce_label: bytes = b"nonce"

    def __post_init__(self):
        self.prk = extract(self.salt, self.secret)
        self.key = expand(self.prk, self.key_label, 32)
        self.iv = expand(self.prk, self.nonce_label, 12)

    def encrypt(self, plaintext: bytes, aad: bytes) -> bytes:
        return ChaCha20Poly1305(self.key).encrypt(self.iv, plaintext, aad)
