"""Opening an answer: what of a message on the answer stream a client may believe.

Whoever may publish can write an answer's headers. So either a message opens with the secret of this job, and is an
answer; or it is a hint, which may be shown as such and decides nothing but whether to try again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from .names import DIGEST, Circuit, Digest, Job, Tenant
from .padding import unpad
from .reading import Malformed, Members, from_base64

# The protocol's table, which is closed: outcome, and whether the same witness may succeed as a new job.
CODES: dict[str, tuple[str, bool]] = {
    "OK": ("proved", False),
    "MALFORMED_JOB": ("refused", False),
    "UNSUPPORTED_VERSION": ("refused", False),
    "PLAINTEXT_REJECTED": ("refused", False),
    "WITNESS_TOO_LARGE": ("refused", False),
    "CIRCUIT_NOT_FOUND": ("refused", False),
    "VERIFYING_KEY_MISMATCH": ("refused", False),
    "NOT_AUTHORIZED": ("refused", False),
    "KEY_UNKNOWN": ("refused", True),
    "KEY_RETIRED": ("refused", True),
    "UNSEAL_FAILED": ("refused", False),
    "INVALID_WITNESS": ("refused", False),
    "EXPIRED": ("expired", False),
    "CANCELLED": ("cancelled", False),
    "TIMEOUT": ("failed", True),
    "OUT_OF_MEMORY": ("failed", True),
    "PROOF_GENERATION_FAILED": ("failed", False),
    "ATTEMPTS_EXHAUSTED": ("failed", True),
}


@dataclass(frozen=True)
class Message:
    """A message as it lies on the answer stream. The headers are what the NATS library reads of them."""

    headers: Mapping[str, str]
    payload: bytes


@dataclass(frozen=True)
class AnswerKeys:
    """What a client has kept to open the answer of its job."""

    info: bytes
    enc: bytes
    answer_secret: bytes


@dataclass(frozen=True)
class Expected:
    """What it has kept besides, to check what was opened."""

    tenant: Tenant
    circuit: Circuit
    job: Job
    #: The verifying keys that the bundle lists for the circuit.
    proof_keys: tuple[Digest, ...]


@dataclass(frozen=True)
class Hint:
    """Nobody has authenticated this."""

    code: str | None
    retryable: bool
    why: str


@dataclass(frozen=True)
class Opened:
    code: str
    document: bytes


@dataclass(frozen=True)
class Proof:
    """A proof of this job. It is for the caller to verify it."""

    verifying_key: Digest
    proof: bytes
    public_inputs: bytes
    output: bytes | None


@dataclass(frozen=True)
class Refusal:
    """Why there is no proof, in the words of the process that had opened the job."""

    code: str
    message: str
    retryable: bool


class AnswerRefused(Exception):
    """An opened document that is not about this job, or says two things at once."""


@dataclass(frozen=True)
class _Headers:
    outcome: str
    code: str
    mode: str
    content_type: str


def open_answer(keys: AnswerKeys, message: Message) -> Opened | Hint:
    """Opens the message, or says why it is but a hint."""
    headers = _read_headers(message.headers)
    if headers is None:
        return Hint(None, False, "its headers are not those of an answer")
    document = _open_document(keys, headers, message)
    if document is None:
        return Hint(headers.code, CODES[headers.code][1], "nobody who had opened the job has authenticated it")
    return Opened(headers.code, document)


def _read_headers(headers: Mapping[str, str]) -> _Headers | None:
    names = ("Version", "Outcome", "Code", "Answer")
    version, outcome, code, mode = (headers.get(f"Sealprove-{name}", "").strip() for name in names)
    content_type = headers.get("Content-Type", "").strip()
    if version != "1" or CODES.get(code, ("",))[0] != outcome or mode not in ("sealed", "open"):
        return None
    if re.fullmatch(r"[\x20-\x7e]{1,256}", content_type) is None:
        return None
    return _Headers(outcome, code, mode, content_type)


def _open_document(keys: AnswerKeys, headers: _Headers, message: Message) -> bytes | None:
    if headers.mode != _asked_for(keys.info):
        return None
    aad = keys.info + f"answer\n{headers.outcome}\n{headers.code}\n{headers.content_type}\n".encode()
    if headers.mode == "sealed":
        plaintext = _decrypt(keys, message.payload, aad)
        return None if plaintext is None else unpad(plaintext)
    try:
        tag = from_base64(message.headers.get("Sealprove-Tag", "").strip())
    except Malformed:
        return None
    return message.payload if len(tag) == 48 and _decrypt(keys, tag, aad + message.payload) == b"" else None


def _asked_for(info: bytes) -> str:
    """The answer mode that was asked for stands in the ninth line of `info`."""
    return info.split(b"\n")[8].decode()


def _decrypt(keys: AnswerKeys, sealed: bytes, aad: bytes) -> bytes | None:
    """ChaCha20-Poly1305 under the keys of an answer (RFC 9458 section 4.4); `sealed` begins with its nonce."""
    nonce, ciphertext = sealed[:32], sealed[32:]
    salt = keys.enc + nonce
    key = HKDF(SHA256(), 32, salt, b"key").derive(keys.answer_secret)
    iv = HKDF(SHA256(), 12, salt, b"nonce").derive(keys.answer_secret)
    try:
        return ChaCha20Poly1305(key).decrypt(iv, ciphertext, aad)
    except InvalidTag:
        return None


def check_document(expected: Expected, code: str, document: bytes) -> Proof | Refusal:
    """Checks an opened document against its job. The proof itself is for the caller to verify."""
    try:
        return _read_document(expected, code, Members.parse("answer", document))
    except Malformed as error:
        raise AnswerRefused(str(error)) from None


def _read_document(expected: Expected, code: str, answer: Members) -> Proof | Refusal:
    answer.text("version", "1")
    about = (("tenant", expected.tenant), ("circuit", expected.circuit), ("job", expected.job))
    for member, ours in about:
        if answer.text(member) != ours:
            raise AnswerRefused(f"the answer is for another {member}")
    answer.whole("attempt")
    answer.inner("timings_ms")
    if answer.has("proof") == answer.has("error"):
        raise AnswerRefused("neither a proof nor an error, or both")
    return _read_proof(expected, code, answer) if answer.has("proof") else _read_error(code, answer.inner("error"))


def _read_proof(expected: Expected, code: str, answer: Members) -> Proof:
    if code != "OK":
        raise AnswerRefused("a proof with the code of an error")
    verifying_key = Digest(answer.text("verifying_key", DIGEST))
    if verifying_key not in expected.proof_keys:
        raise AnswerRefused("a proof under a key not in the bundle")
    output = answer.base64("output") if answer.has("output") else None
    return Proof(verifying_key, answer.base64("proof"), answer.base64("public_inputs"), output)


def _read_error(code: str, error: Members) -> Refusal:
    if code == "OK" or error.text("code") != code:
        raise AnswerRefused("header and document give two codes")
    error.text("step")
    return Refusal(code, error.text("message"), error.flag("retryable"))
