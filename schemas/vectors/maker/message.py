"""A sealed job that is right, with a place for each thing that a vector makes wrong."""

import hashlib
from dataclasses import dataclass, field

from . import seal as s
from .files import b64

NOW = 1_800_000_000
STORED_AT = NOW - 30
EXPIRES = NOW + 3600
JOB = "00112233445566778899aabbccddeeff"
OTHER_JOB = "ffeeddccbbaa99887766554433221100"
VERIFYING_KEY = "sha256:458d2f4b430a3a03265ef7535404f6957204786cc41ccbab031723d47a612c2d"
OTHER_VERIFYING_KEY = "sha256:" + hashlib.sha256(b"another verifying key").hexdigest()
WITNESS_BYTES_MAX = 1024
BLINDING = "0x" + "07" * 32
WITNESS = b'{"value":"67000","blinding":"%s","threshold":"50000"}' % BLINDING.encode()

# The keys that every recipient of the testkit holds: two of each scheme.
KEYS = {
    "x25519": bytes(range(0x00, 0x20)),
    "x25519 other": bytes(range(0x40, 0x60)),
    "xwing": bytes(range(0x80, 0xA0)),
    "xwing other": bytes(range(0xC0, 0xE0)),
}
# And one of each that it does not hold.
UNHELD = {"x25519": bytes(range(0x20, 0x40)), "xwing": bytes(range(0xA0, 0xC0))}
PUBLIC = {name: s.public_key(name.split()[0], private) for name, private in KEYS.items()}
PUBLIC |= {f"{scheme} unheld": s.public_key(scheme, private) for scheme, private in UNHELD.items()}
KEY_ID = {name: s.key_id(name.split()[0], public) for name, public in PUBLIC.items()}


def randomness(name: str, length: int) -> bytes:
    """Fixed, and another for every vector."""
    return hashlib.shake_256(b"sealprove testkit\n" + name.encode()).digest(length)


@dataclass
class Job:
    """What a client decides. `sealed` overrides what stands in `info`, by the number of its line from 1."""

    scheme: str = "x25519"
    key: str = ""  # a name in PUBLIC; the scheme's first key unless given
    key_id: str = ""
    prefix: str = "prove.v1"
    deployment: str = "lab"
    tenant: str = "default"
    lane: str = "standard"
    circuit: str = "threshold-v1"
    job: str = JOB
    expires: str = str(EXPIRES)
    answer: str = "sealed"
    verifying_key: str = VERIFYING_KEY
    witness: bytes = WITNESS
    now: int = NOW
    stored_at: int = STORED_AT
    witness_bytes_max: int = WITNESS_BYTES_MAX
    sealed: dict[int, str] = field(default_factory=dict)

    def __post_init__(self):
        self.key = self.key or self.scheme
        self.key_id = self.key_id or KEY_ID[self.key]

    def info(self) -> bytes:
        lines = ["sealprove/1 job", self.deployment, self.tenant, self.lane, self.circuit, self.job, self.key_id,
                 self.expires, self.answer, self.verifying_key]  # fmt: skip
        for number, line in self.sealed.items():
            lines[number - 1] = line
        return "".join(line + "\n" for line in lines).encode()


@dataclass
class Making:
    """The steps of sealing that a vector can do in another way."""

    info: object = None  # info -> info
    plaintext: object = None  # witness -> plaintext
    encapsulate: object = None  # (public key, ephemeral) -> (shared secret, enc)
    context: dict = field(default_factory=dict)  # arguments of Context
    encrypt: object = None  # (context, plaintext) -> ciphertext ‖ tag
    info_in_aad: bool = False


class Message:
    """The message as it is delivered, and what its sender knows. A vector changes any of it."""

    def __init__(self, seed: str, job: Job, making: Making | None = None):
        self.job = job
        making = making or Making()
        self.public = PUBLIC[job.key]
        self.ephemeral = randomness(seed, 32 if job.scheme == "x25519" else 64)
        self.info = making.info(job.info()) if making.info else job.info()
        encapsulate = making.encapsulate or (lambda public, ephemeral: s.encapsulate(job.scheme, public, ephemeral))
        self.shared_secret, self.enc = encapsulate(self.public, self.ephemeral)
        bound = b"" if making.info_in_aad else self.info
        arguments = {"kem_id": s.KEM_ID[job.scheme]} | making.context
        self.context = s.Context(self.shared_secret, bound, **arguments)
        self.plaintext = making.plaintext(job.witness) if making.plaintext else s.pad(job.witness)
        if making.encrypt:
            self.ciphertext = making.encrypt(self.context, self.plaintext)
        else:
            self.ciphertext = self.context.seal(self.plaintext, self.info if making.info_in_aad else b"")
        self.answer_secret = self.context.export(b"sealprove/1 answer")

        self.payload = self.enc + self.ciphertext
        self.prefix, self.deployment = job.prefix, job.deployment
        self.subject = f"{job.prefix}.job.{job.tenant}.{job.lane}.{job.circuit}.{job.job}"
        self.headers = [
            ["Sealprove-Version", "1"],
            ["Sealprove-Key", job.key_id],
            ["Sealprove-Expires", job.expires],
            ["Sealprove-Answer", job.answer],
            ["Sealprove-Verifying-Key", job.verifying_key],
        ]
        self.now, self.stored_at = job.now, job.stored_at
        self.circuits = [("threshold-v1", VERIFYING_KEY, job.witness_bytes_max)]
        self.destroyed: list[str] = []

    @property
    def tag(self) -> bytes:
        return self.ciphertext[-16:]

    def header(self, name: str, value: str):
        """Another value for a header."""
        for pair in self.headers:
            if pair[0] == name:
                pair[1] = value

    def lines(self, opened: bool, made: bool) -> list[tuple[str, str]]:
        lines = [("prefix", self.prefix), ("deployment", self.deployment)]
        lines += [("key", f"{name.split()[0]} {private.hex()}") for name, private in KEYS.items()]
        lines += [("destroyed", key_id) for key_id in self.destroyed]
        lines += [("circuit", f"{name} {digest} {most}") for name, digest, most in self.circuits]
        lines += [("now", str(self.now)), ("stored-at", str(self.stored_at)), ("subject", self.subject)]
        lines += [("header", f"{name}: {value}") for name, value in self.headers]
        lines += [("payload", b64(self.payload))]
        if opened:
            lines += [("info", b64(self.info)), ("witness", b64(self.job.witness))]
            lines += [("answer-secret", self.answer_secret.hex())]
        if made:
            lines += [("public-key", self.public.hex()), ("key-id", self.job.key_id)]
            lines += [("ephemeral", self.ephemeral.hex()), ("shared-secret", self.shared_secret.hex())]
            lines += [("hpke-key", self.context.key.hex()), ("base-nonce", self.context.base_nonce.hex())]
            lines += [("exporter-secret", self.context.exporter_secret.hex())]
        return lines
