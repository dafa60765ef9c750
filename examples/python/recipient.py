"""The other side, as far as test vectors need it: what a recipient checks of a job, and how it opens the seal.

A client has no use for this file; it is here so that `testkit.py` can judge the vectors in `job/`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from sealprove_client import xwing
from sealprove_client.names import DIGEST, KEY_ID, Deployment, Digest, JobSubject, KeyId, Prefix
from sealprove_client.padding import padded_witness, unpad
from sealprove_client.seal import ENC_BYTES, EXPORTER_CONTEXT, JobHeader, Scheme, suite

DAY = 24 * 3600
CLOCKS_DIFFER = 300
KNOWN_FORMATS = (b"PCZT", b"-----BEGIN ", b"age-encryption.org/", b"%PDF-", b"PK\x03\x04", b"midnight:")
NAMES = {f"Sealprove-{name}" for name in ("Version", "Key", "Expires", "Answer", "Verifying-Key")}


@dataclass(frozen=True)
class Listed:
    """A circuit as the recipient's bundle lists it."""

    verifying_key: Digest
    witness_bytes_max: int


@dataclass(frozen=True)
class Recipient:
    prefix: Prefix
    deployment: Deployment
    keys: Mapping[KeyId, tuple[Scheme, bytes]]
    #: Keys that it held once.
    destroyed: frozenset[str]
    circuits: Mapping[str, Listed]
    now: int


@dataclass(frozen=True)
class JobMessage:
    stored_at: int
    subject: str
    headers: Sequence[tuple[str, str]]
    payload: bytes


@dataclass(frozen=True)
class Opens:
    info: bytes
    witness: bytes
    answer_secret: bytes


class _Refused(Exception):
    """The code with which a job is refused, in the testkit's spelling."""


def judge(recipient: Recipient, message: JobMessage) -> Opens | str:
    try:
        subject = JobSubject.parse(recipient.prefix, message.subject)
    except ValueError:
        return "not-a-job"
    try:
        if _is_plaintext(message.payload):
            raise _Refused("plaintext-rejected")
        header = _read_header(recipient.deployment, subject, message.headers)
        _check(recipient, header, message)
        return _open(recipient, header, message.payload)
    except _Refused as refused:
        return str(refused)


def _is_plaintext(payload: bytes) -> bool:
    """JSON, also after a byte order mark, or a format that is known by how it begins."""
    if payload.startswith(KNOWN_FORMATS):
        return True
    try:
        json.loads(payload.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return False
    return True


def _read_header(deployment: Deployment, subject: JobSubject, headers: Sequence[tuple[str, str]]) -> JobHeader:
    ours = [(name, value.strip(" \t")) for name, value in headers if name.lower().startswith("sealprove-")]
    versions = [value for name, value in ours if name == "Sealprove-Version"]
    if versions and versions[0] != "1":
        raise _Refused("unsupported-version")
    values = dict(ours)
    if len(ours) != 5 or set(values) != NAMES:
        raise _Refused("malformed-job")
    shapes = {"Key": KEY_ID, "Expires": "0|[1-9][0-9]{0,19}", "Answer": "sealed|open", "Verifying-Key": f"{DIGEST}|any"}
    if any(re.fullmatch(shape, values[f"Sealprove-{name}"]) is None for name, shape in shapes.items()):
        raise _Refused("malformed-job")
    return JobHeader(
        subject=subject,
        deployment=deployment,
        key=KeyId(values["Sealprove-Key"]),
        expires=int(values["Sealprove-Expires"]),
        answer="sealed" if values["Sealprove-Answer"] == "sealed" else "open",
        verifying_key=Digest(values["Sealprove-Verifying-Key"]),
    )


def _check(recipient: Recipient, header: JobHeader, message: JobMessage) -> None:
    """What is wrong with the job that can be seen without a key."""
    of = recipient.keys[header.key][0] if header.key in recipient.keys else "x25519"
    overhead = ENC_BYTES[of] + 16
    if len(message.payload) < overhead + padded_witness(0):
        raise _Refused("malformed-job")
    if header.expires > message.stored_at + DAY + CLOCKS_DIFFER:
        raise _Refused("malformed-job")
    listed = recipient.circuits.get(header.subject.circuit)
    if listed is None:
        raise _Refused("circuit-not-found")
    if header.verifying_key not in ("any", listed.verifying_key):
        raise _Refused("verifying-key-mismatch")
    if header.expires <= max(recipient.now, message.stored_at):
        raise _Refused("expired")
    if header.key not in recipient.keys:
        raise _Refused("key-retired" if header.key in recipient.destroyed else "key-unknown")
    if len(message.payload) > overhead + padded_witness(listed.witness_bytes_max):
        raise _Refused("witness-too-large")


def _open(recipient: Recipient, header: JobHeader, payload: bytes) -> Opens:
    of, private_key = recipient.keys[header.key]
    opened = open_seal(of, private_key, header.info(), payload)
    if opened is None:
        raise _Refused("unseal-failed")
    if len(opened.witness) > recipient.circuits[header.subject.circuit].witness_bytes_max:
        raise _Refused("witness-too-large")
    return opened


def open_seal(of: Scheme, private_key: bytes, info: bytes, payload: bytes) -> Opens | None:
    """What stood in the seal, or `None`: one failure, without a reason."""
    hpke = suite(of)
    enc, ciphertext = payload[: ENC_BYTES[of]], payload[ENC_BYTES[of] :]
    try:
        context = hpke.create_recipient_context(enc, hpke.kem.deserialize_private_key(private_key), info=info)
        witness = unpad(context.open(ciphertext))
    except Exception:  # of whatever class: the libraries below have many, and none may tell more than that it failed
        return None
    return None if witness is None else Opens(info, witness, context.export(EXPORTER_CONTEXT, 32))


def public_key_of(of: Scheme, private_key: bytes) -> bytes:
    if of == "xwing":
        return xwing.public_key(private_key)
    return X25519PrivateKey.from_private_bytes(private_key).public_key().public_bytes_raw()
