"""X-Wing (draft-connolly-cfrg-xwing-kem) as a KEM of pyhpke, which has none that is post-quantum.

Nothing is invented here: ML-KEM-768 and X25519 are those of `cryptography`, the key schedule of HPKE is pyhpke's, and
what is between them is the combiner, one SHA3-256. `testkit.py` holds it against the X-Wing of `cryptography`, whose
own HPKE has no exporter and so cannot open answers.
"""

from __future__ import annotations

import enum
import hashlib
from typing import cast

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from pyhpke import KEMId, KEMInterface, KEMKeyInterface, KEMKeyPair

MLKEM_PUBLIC = 1184
MLKEM_CIPHERTEXT = 1088
SEED = 32
LABEL = b"\\.//^\\"


class _Id(enum.Enum):
    """The identifiers that pyhpke's own enumeration has not."""

    X_WING = 0x647A


class _Key(KEMKeyInterface):
    """Raw bytes: 1216 of a public key, or the seed of a private one."""

    def __init__(self, raw: bytes) -> None:
        super().__init__(raw)
        self.bytes = raw


class XWing(KEMInterface):
    @property
    def id(self) -> KEMId:
        # pyhpke asks an identifier for its value and for nothing else.
        return cast(KEMId, _Id.X_WING)

    def deserialize_public_key(self, key: bytes) -> KEMKeyInterface:
        MLKEM768PublicKey.from_public_bytes(key[:MLKEM_PUBLIC])  # refuses coefficients that are not reduced
        X25519PublicKey.from_public_bytes(key[MLKEM_PUBLIC:])
        return _Key(key)

    def deserialize_private_key(self, key: bytes) -> KEMKeyInterface:
        if len(key) != SEED:
            raise ValueError("a private key of X-Wing is a seed of 32 bytes")
        return _Key(key)

    def encap(
        self, pkr: KEMKeyInterface, sks: KEMKeyInterface | None = None, eks: KEMKeyPair | None = None
    ) -> tuple[bytes, bytes]:
        if sks is not None or eks is not None:
            raise ValueError("X-Wing has neither sender keys nor ephemeral keys of the caller's")
        public = _bytes(pkr)
        secret_m, ciphertext_m = MLKEM768PublicKey.from_public_bytes(public[:MLKEM_PUBLIC]).encapsulate()
        ephemeral = X25519PrivateKey.generate()
        public_x = public[MLKEM_PUBLIC:]
        ciphertext_x = ephemeral.public_key().public_bytes_raw()
        secret_x = ephemeral.exchange(X25519PublicKey.from_public_bytes(public_x))
        return _combine(secret_m, secret_x, ciphertext_x, public_x), ciphertext_m + ciphertext_x

    def decap(self, enc: bytes, skr: KEMKeyInterface, pks: KEMKeyInterface | None = None) -> bytes:
        if pks is not None:
            raise ValueError("X-Wing has no sender keys")
        private_m, private_x = expand(_bytes(skr))
        ciphertext_x = enc[MLKEM_CIPHERTEXT:]
        secret_m = private_m.decapsulate(enc[:MLKEM_CIPHERTEXT])
        secret_x = private_x.exchange(X25519PublicKey.from_public_bytes(ciphertext_x))
        return _combine(secret_m, secret_x, ciphertext_x, private_x.public_key().public_bytes_raw())


def expand(seed: bytes) -> tuple[MLKEM768PrivateKey, X25519PrivateKey]:
    """The two private keys that a seed stands for."""
    expanded = hashlib.shake_256(seed).digest(96)
    return MLKEM768PrivateKey.from_seed_bytes(expanded[:64]), X25519PrivateKey.from_private_bytes(expanded[64:])


def public_key(seed: bytes) -> bytes:
    private_m, private_x = expand(seed)
    return private_m.public_key().public_bytes_raw() + private_x.public_key().public_bytes_raw()


def _combine(secret_m: bytes, secret_x: bytes, ciphertext_x: bytes, public_x: bytes) -> bytes:
    return hashlib.sha3_256(secret_m + secret_x + ciphertext_x + public_x + LABEL).digest()


def _bytes(key: KEMKeyInterface) -> bytes:
    if not isinstance(key, _Key):
        raise ValueError("not a key of X-Wing")
    return key.bytes
