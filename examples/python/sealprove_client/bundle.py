"""The bundle: which keys to seal to, and which circuits there are.

It is believed for its signature under the identity that the user has pinned, and not for where it came from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from .names import CIRCUIT, DEPLOYMENT, DIGEST, KEY_ID, Circuit, Deployment, Digest, KeyId
from .reading import U32_MAX, Malformed, Members, from_base64, to_base64
from .seal import PUBLIC_KEY_BYTES, SCHEMES, Scheme, id_of_key

# No job may outlive its key: it lives for 24 hours, and its answer may be ten minutes late.
KEY_OUTLIVES_BUNDLE = 24 * 3600 + 600

Reason = Literal["signature", "malformed", "expired", "rollback"]


class BundleRefused(Exception):
    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class BundleKey:
    id: KeyId
    scheme: Scheme
    public_key: bytes
    seal_from: int
    seal_until: int
    open_until: int


@dataclass(frozen=True)
class BundleCircuit:
    id: Circuit
    verifying_key: Digest
    #: The keys under which a proof of this circuit may verify: one, unless the circuit has several.
    proof_keys: tuple[Digest, ...]
    media_type: str
    witness_bytes_max: int


@dataclass(frozen=True)
class Bundle:
    deployment: Deployment
    serial: int
    expires_at: int
    keys: tuple[BundleKey, ...]
    circuits: tuple[BundleCircuit, ...]


# The y coordinates of the points of small order on edwards25519, without the sign of x.
_P = 2**255 - 19
_ORDER_8 = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
_SMALL_ORDER = {0, 1, _P - 1, _ORDER_8, _P - _ORDER_8}


def _is_weak_point(point: bytes) -> bool:
    """Of small order, under which anything verifies, or a coordinate that is not reduced: OpenSSL refuses neither."""
    y = int.from_bytes(point, "little") & (2**255 - 1)
    return y in _SMALL_ORDER or y >= _P


@dataclass(frozen=True)
class Identity:
    """The public half of the identity key, `ed25519:` and base64 of 32 bytes, as the operator handed it out."""

    raw: bytes

    @classmethod
    def parse(cls, printed: str) -> Identity:
        try:
            raw = from_base64(printed.removeprefix("ed25519:"))
        except Malformed:
            raw = b""
        if len(raw) != 32 or not printed.startswith("ed25519:"):
            raise ValueError("not an identity: ed25519: and base64 of 32 bytes")
        return cls(raw)

    def signed(self, message: bytes, signature: bytes) -> bool:
        if len(signature) != 64 or _is_weak_point(self.raw) or _is_weak_point(signature[:32]):
            return False
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True

    def printed(self) -> str:
        return f"ed25519:{to_base64(self.raw)}"

    def file_name(self) -> str:
        """A name for a file that belongs to this identity alone."""
        return f"{hashlib.sha256(self.raw).hexdigest()[:16]}.json"


def verify_bundle(signed: bytes, identity: Identity, now: int, seen: int) -> Bundle:
    """The bundle in `signed`, if this client may believe it.

    `seen` is the largest serial that it has accepted from this identity, 0 where it has seen none.
    """
    bundle = read_signed(signed, identity)
    if now >= bundle.expires_at:
        raise BundleRefused("expired", "it has expired: the operator must sign a new one")
    if bundle.serial < seen:
        raise BundleRefused("rollback", f"serial {bundle.serial} after {seen} was seen")
    return bundle


def read_signed(signed: bytes, identity: Identity) -> Bundle:
    """Everything but time and serial, for a bundle that this client has kept."""
    try:
        outer = Members.parse("signed bundle", signed)
        if outer.names() != {"payload", "signature"}:
            raise Malformed("a signed bundle has two members, payload and signature")
        payload = outer.base64("payload")
        if not identity.signed(b"sealprove/1 bundle\n" + payload, outer.base64("signature")):
            raise BundleRefused("signature", "it is not signed by the pinned identity")
        return _read_bundle(Members.parse("bundle", payload), identity)
    except Malformed as error:
        raise BundleRefused("malformed", str(error)) from None


def _read_bundle(bundle: Members, identity: Identity) -> Bundle:
    bundle.text("version", "1")
    if bundle.text("identity") != identity.printed():
        raise Malformed("it names another identity than its signer's")
    bundle.whole("issued_at")
    expires_at = bundle.whole("expires_at")
    read = (_read_key(key, expires_at) for key in bundle.objects("keys"))
    keys = tuple(key for key in read if key is not None)
    circuits = tuple(_read_circuit(circuit) for circuit in bundle.objects("circuits"))
    if len({key.id for key in keys}) != len(keys) or len({listed.id for listed in circuits}) != len(circuits):
        raise Malformed("a key or a circuit stands twice in the bundle")
    return Bundle(
        deployment=Deployment(bundle.text("deployment", DEPLOYMENT)),
        serial=bundle.whole("serial"),
        expires_at=expires_at,
        keys=keys,
        circuits=circuits,
    )


def _read_key(key: Members, expires_at: int) -> BundleKey | None:
    """The key; `None` where its scheme is one that this client does not know, whatever else is in it."""
    named = key.text("scheme")
    scheme = next((known for known in SCHEMES if known == named), None)
    if scheme is None:
        return None
    read = BundleKey(
        id=KeyId(key.text("id", KEY_ID)),
        scheme=scheme,
        public_key=key.base64("public_key"),
        seal_from=key.whole("seal_from"),
        seal_until=key.whole("seal_until"),
        open_until=key.whole("open_until"),
    )
    if len(read.public_key) != PUBLIC_KEY_BYTES[scheme]:
        raise Malformed(f"key {read.id}: wrong size")
    if read.id != id_of_key(scheme, read.public_key):
        raise Malformed(f"key {read.id}: not the id of its key")
    if read.seal_from >= read.seal_until:
        raise Malformed(f"key {read.id}: never sealed to")
    if read.open_until < expires_at + KEY_OUTLIVES_BUNDLE:
        raise Malformed(f"key {read.id}: could strand a job")
    return read


def _read_circuit(circuit: Members) -> BundleCircuit:
    verifying_key = Digest(circuit.text("verifying_key", DIGEST))
    circuit.whole("answer_bytes_max", U32_MAX)
    return BundleCircuit(
        id=Circuit(circuit.text("id", CIRCUIT)),
        verifying_key=verifying_key,
        proof_keys=_proof_keys(circuit, verifying_key),
        media_type=circuit.text("media_type"),
        witness_bytes_max=circuit.whole("witness_bytes_max", U32_MAX),
    )


def _proof_keys(circuit: Members, verifying_key: Digest) -> tuple[Digest, ...]:
    """A circuit with several verifying keys names them all by the digest of their sorted lines; with one, that one."""
    keys = circuit.objects("verifying_keys") if "verifying_keys" in circuit.names() else []
    if not keys:
        return (verifying_key,)
    digests = [Digest(key.text("digest", DIGEST)) for key in keys]
    lines = sorted(f"{key.text('label')}:{digest}\n".encode() for key, digest in zip(keys, digests, strict=True))
    of_all = digests[0] if len(digests) == 1 else "sha256:" + hashlib.sha256(b"".join(lines)).hexdigest()
    if of_all != verifying_key:
        raise Malformed("a circuit's verifying keys do not make its digest")
    return tuple(digests)


def choose_key(bundle: Bundle, now: int, expires: int, schemes: Sequence[Scheme]) -> BundleKey:
    """The key to seal to for a job that ends at `expires`.

    Of the schemes in `schemes`, which stand in the order of preference, and within a scheme the one with the latest
    `seal_from`. There is no other to fall back to.
    """
    usable = [k for k in bundle.keys if k.seal_from <= now < k.seal_until and expires <= k.open_until]
    for scheme in schemes:
        of_scheme = [key for key in usable if key.scheme == scheme]
        if of_scheme:
            return max(of_scheme, key=lambda key: key.seal_from)
    wanted = " or ".join(schemes)
    raise ValueError(f"the bundle has no key of {wanted} for a job that ends at {expires}: fetch it again")
