"""Sealing a witness: HPKE (RFC 9180) in base mode, one shot, with the job's header bound in `info`.

What leaves this file is a sealed payload, and the secret that opens its answer and nothing else.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

from pyhpke import AEADId, CipherSuite, KDFId, KEMId

from .names import AnswerMode, Deployment, Digest, JobSubject, KeyId, key_id
from .padding import pad
from .xwing import XWing

Scheme = Literal["xwing", "x25519"]

# In the order in which a client prefers them.
SCHEMES: tuple[Scheme, ...] = ("xwing", "x25519")
PUBLIC_KEY_BYTES: dict[Scheme, int] = {"xwing": 1216, "x25519": 32}
ENC_BYTES: dict[Scheme, int] = {"xwing": 1120, "x25519": 32}
EXPORTER_CONTEXT = b"sealprove/1 answer"


def scheme(text: str) -> Scheme:
    for known in SCHEMES:
        if known == text:
            return known
    raise ValueError(f"no such scheme: {text}; there are {' and '.join(SCHEMES)}")


def suite(of: Scheme) -> CipherSuite:
    classic = CipherSuite.new(KEMId.DHKEM_X25519_HKDF_SHA256, KDFId.HKDF_SHA256, AEADId.CHACHA20_POLY1305)
    return CipherSuite(XWing(), classic.kdf, classic.aead) if of == "xwing" else classic


def id_of_key(of: Scheme, public_key: bytes) -> KeyId:
    return key_id(hashlib.sha256(f"sealprove/1 key\n{of}\n".encode() + public_key).hexdigest()[:32])


@dataclass(frozen=True)
class JobHeader:
    """What a job's header and subject say: the one value that subject, headers and `info` are made of."""

    subject: JobSubject
    deployment: Deployment
    key: KeyId
    expires: int
    answer: AnswerMode
    verifying_key: Digest | Literal["any"]

    def headers(self) -> dict[str, str]:
        return {
            "Sealprove-Version": "1",
            "Sealprove-Key": self.key,
            "Sealprove-Expires": str(self.expires),
            "Sealprove-Answer": self.answer,
            "Sealprove-Verifying-Key": self.verifying_key,
        }

    def info(self) -> bytes:
        lines = [
            "sealprove/1 job",
            self.deployment,
            self.subject.tenant,
            self.subject.lane,
            self.subject.circuit,
            self.subject.job,
            self.key,
            str(self.expires),
            self.answer,
            self.verifying_key,
        ]
        return "".join(f"{line}\n" for line in lines).encode()


@dataclass(frozen=True)
class Sealed:
    """What is published, and what its answer is opened with."""

    payload: bytes
    enc: bytes
    answer_secret: bytes


def seal(of: Scheme, public_key: bytes, info: bytes, witness: bytes) -> Sealed:
    hpke = suite(of)
    recipient = hpke.kem.deserialize_public_key(public_key)
    enc, context = hpke.create_sender_context(recipient, info=info)
    ciphertext = context.seal(pad(witness))
    return Sealed(enc + ciphertext, enc, context.export(EXPORTER_CONTEXT, 32))
