"""Vectors about the seal: `info` and what it binds, the encapsulated key, the ciphertext, its tag, the suite."""

import base64
import gzip
import hashlib

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from kyber_py.ml_kem import ML_KEM_768

from . import seal as s
from .message import KEY_ID, OTHER_JOB, PUBLIC, VERIFYING_KEY, Job, Making, Message

# A circuit that takes large witnesses, so that what is re-encoded is not refused for its size.
LARGE = {"witness_bytes_max": 65536}
# RFC 7748: u-coordinates of points of order 1, 2, 4 and 8 on the curve or its twist, with the spellings beyond p.
LOW_ORDER = {
    "0": bytes(32),
    "1": b"\x01" + bytes(31),
    "of order 8": bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    "of order 8, the other": bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    "p less 1": (2**255 - 20).to_bytes(32, "little"),
    "p": (2**255 - 19).to_bytes(32, "little"),
    "p and 1": (2**255 - 18).to_bytes(32, "little"),
}
# The ten lines: what they are called, and what else the sealer might have put there.
LINES = [
    ("label", "sealprove/2 job"),
    ("deployment", "prod"),
    ("tenant", "mallory"),
    ("lane", "express"),
    ("circuit", "membership-v1"),
    ("job", OTHER_JOB),
    ("key", "ffffffffffffffffffffffffffffffff"),
    ("deadline", "1800003599"),
    ("answer mode", "open"),
    ("verifying key", "any"),
]


def make(jobs):
    for number, (name, value) in enumerate(LINES, 1):
        jobs.both("unseal-failed", f"info line {number}, {name}", "sealed for another", sealed={number: value})
    replays(jobs)
    forms_of_info(jobs)
    encapsulated_keys(jobs)
    xwing_parts(jobs)
    schemes(jobs)
    suites(jobs)
    ciphertexts(jobs)
    tags(jobs)
    payloads(jobs)
    encodings(jobs)


def replays(jobs):
    """A captured job, delivered elsewhere than where its sender has put it."""
    def moved(field, old, new):
        jobs.both("unseal-failed", field, "replayed under another",
                  lambda m: setattr(m, "subject", m.subject.replace(old, new)))  # fmt: skip

    moved("subject tenant", ".default.", ".mallory.")
    moved("subject lane", ".standard.", ".express.")
    moved("subject job", ".00112233445566778899aabbccddeeff", "." + OTHER_JOB)

    def to_circuit(message):
        message.subject = message.subject.replace("threshold-v1", "threshold-v2")
        message.circuits.append(("threshold-v2", VERIFYING_KEY, 1024))

    jobs.both("unseal-failed", "subject circuit", "replayed under another", to_circuit)
    jobs.both("unseal-failed", "deployment", "replayed to another", lambda m: setattr(m, "deployment", "prod"))
    jobs.add("unseal-failed", "deployment", "in capitals", lambda m: setattr(m, "deployment", "LAB"))

    def with_all_of_another(message):
        """Its own headers and subject are another job's; the payload stays."""
        other = Message("job/donor", Job(job=OTHER_JOB, tenant="mallory"))
        message.subject, message.headers = other.subject, other.headers

    jobs.add("unseal-failed", "payload", "under subject and headers of another job", with_all_of_another)


def forms_of_info(jobs):
    def formed(mutation, form, comment=""):
        jobs.add("unseal-failed", "info", mutation, None, comment, Making(info=form))

    formed("without the last line's end", lambda info: info[:-1])
    formed("with a line's end too many", lambda info: info + b"\n")
    formed("lines ended by CR LF", lambda info: info.replace(b"\n", b"\r\n"))
    formed("lines ended by zero bytes", lambda info: info.replace(b"\n", b"\0"))
    formed("lines with spaces behind", lambda info: info.replace(b"\n", b" \n"))
    formed("with a byte order mark", lambda info: b"\xef\xbb\xbf" + info)
    formed("in capitals", bytes.upper)
    formed("empty", lambda info: b"")
    formed("its SHA-256", lambda info: hashlib.sha256(info).digest())
    formed("in base64", base64.b64encode)
    formed("in UTF-16", lambda info: info.decode().encode("utf-16-le"))
    formed("an eleventh line", lambda info: info + b"1800000000\n")
    formed("without the first line", lambda info: info.split(b"\n", 1)[1])
    formed("tenant and lane exchanged", lambda info: info.replace(b"default\nstandard", b"standard\ndefault"))
    formed("key and deadline exchanged", lambda info: exchange(info, 6, 7))
    formed("of an answer", lambda info: info + b"answer\nproved\nOK\napplication/json\n")
    jobs.both("unseal-failed", "info", "in the associated data instead", making=Making(info_in_aad=True))


def exchange(info: bytes, first: int, second: int) -> bytes:
    lines = info.split(b"\n")
    lines[first], lines[second] = lines[second], lines[first]
    return b"\n".join(lines)


def flip(data: bytes, index: int, bit: int = 1) -> bytes:
    changed = bytearray(data)
    changed[index] ^= bit
    return bytes(changed)


def put(start: int, replacement: bytes):
    """Replaces bytes of the payload."""
    return lambda m: setattr(m, "payload", m.payload[:start] + replacement + m.payload[start + len(replacement) :])


def flipped(index: int, bit: int = 1):
    return lambda m: setattr(m, "payload", flip(m.payload, index, bit))


def encapsulated_keys(jobs):
    jobs.both("unseal-failed", "enc", "first bit changed", flipped(0))
    jobs.add("unseal-failed", "enc", "last byte changed", flipped(31))
    jobs.add("unseal-failed", "enc", "last byte changed", flipped(1119), scheme="xwing")
    jobs.add("unseal-failed", "enc", "top bit set", flipped(31, 0x80),
             "X25519 ignores the bit, but the key schedule has the bytes of `enc`.")  # fmt: skip
    for scheme in ("x25519", "xwing"):
        def with_top_bit(public, ephemeral, scheme=scheme):
            """The same point in another spelling, which the sender binds as the recipient does."""
            return s.encapsulate(scheme, public, ephemeral, top_bit=True)

        jobs.add("proved", "enc", "top bit set, and sealed for it", None,
                 "RFC 7748 section 5: the bit is masked, and no reason to refuse.", Making(encapsulate=with_top_bit),
                 scheme=scheme)  # fmt: skip
    jobs.both("unseal-failed", "enc", "zeros", lambda m: put(0, bytes(len(m.enc)))(m))
    jobs.both("unseal-failed", "enc", "ones", lambda m: put(0, b"\xff" * len(m.enc))(m))
    jobs.both("unseal-failed", "enc", "reversed", lambda m: put(0, m.enc[::-1])(m))
    jobs.both("unseal-failed", "enc", "of another job", lambda m: put(0, donor(m).enc)(m))
    jobs.both("unseal-failed", "enc", "behind the ciphertext", lambda m: setattr(m, "payload", m.ciphertext + m.enc))
    jobs.both("unseal-failed", "enc", "the recipient's own public key", lambda m: put(0, m.public[: len(m.enc)])(m))
    jobs.both("unseal-failed", "enc", "twice", lambda m: setattr(m, "payload", m.enc + m.payload), **LARGE)
    jobs.both("unseal-failed", "enc", "a byte short", lambda m: setattr(m, "payload", m.payload[1:]),
              witness=b" " * 1021)  # fmt: skip
    jobs.add("unseal-failed", "enc", "in hexadecimal",
             lambda m: setattr(m, "payload", m.enc.hex().encode() + m.ciphertext))  # fmt: skip
    for name, point in LOW_ORDER.items():
        def encapsulate(public, ephemeral, point=point):
            return s.dhkem_secret(bytes(32), point, public), point

        jobs.add("unseal-failed", "enc", f"of low order, {name}", None,
                 "The seal is right for a shared point that is zero, which RFC 9180 section 7.1.4 forbids.",
                 Making(encapsulate=encapsulate))  # fmt: skip
        jobs.add("unseal-failed", "enc, X25519 part", f"of low order, {name}", put(s.CT_M_BYTES, point), scheme="xwing")


def donor(message: Message) -> Message:
    """Another job to the same key."""
    return Message(f"job/donor/{message.job.scheme}", Job(scheme=message.job.scheme, job=OTHER_JOB))


def xwing_parts(jobs):
    """X-Wing's own: ML-KEM rejects implicitly, the combiner binds the X25519 part alone."""
    def add(field, mutation, change=None, comment="", encapsulate=None, context=None):
        making = Making(encapsulate=encapsulate, context=context or {})
        jobs.add("unseal-failed", field, mutation, change, comment, making, scheme="xwing")

    implicit = "ML-KEM gives a secret that nobody else has, and no error."
    add("enc, ML-KEM part", "a bit of the first part changed", flipped(500), implicit)
    add("enc, ML-KEM part", "a bit of the second part changed", flipped(1000), implicit)
    add("enc, ML-KEM part", "last bit changed", flipped(s.CT_M_BYTES - 1, 0x80), implicit)
    add("enc, ML-KEM part", "zeros", put(0, bytes(s.CT_M_BYTES)), implicit)
    add("enc, ML-KEM part", "of another job", lambda m: put(0, donor(m).enc[: s.CT_M_BYTES])(m), implicit)
    add("enc, X25519 part", "first bit changed", flipped(s.CT_M_BYTES))
    add("enc, X25519 part", "top bit set", flipped(s.CT_M_BYTES + 31, 0x80))
    add("enc, X25519 part", "of another job", lambda m: put(s.CT_M_BYTES, donor(m).enc[s.CT_M_BYTES :])(m))
    add("enc", "parts exchanged",
        lambda m: setattr(m, "payload", m.enc[s.CT_M_BYTES :] + m.enc[: s.CT_M_BYTES] + m.ciphertext))  # fmt: skip

    def combined(combine, private=None):
        def encapsulate(public, ephemeral):
            pk_m, pk_x = public[: s.PK_M_BYTES], public[s.PK_M_BYTES :]
            ss_m, ct_m = ML_KEM_768._encaps_internal(pk_m, ephemeral[:32])
            ct_x, ss_x = s.x25519_public(ephemeral[32:]), s.x25519(ephemeral[32:], pk_x)
            return combine(ss_m, ss_x, ct_m, ct_x, pk_x), ct_m + ct_x

        return encapsulate

    def sha3(*parts):
        return hashlib.sha3_256(b"".join(parts)).digest()

    add("combiner", "label first", encapsulate=combined(lambda m, x, _, c, p: sha3(s.XWING_LABEL, m, x, c, p)),
        comment="As drafts before the sixth had it.")  # fmt: skip
    add("combiner", "without its label", encapsulate=combined(lambda m, x, _, c, p: sha3(m, x, c, p)))
    add("combiner", "secrets exchanged", encapsulate=combined(lambda m, x, _, c, p: sha3(x, m, c, p, s.XWING_LABEL)))
    add("combiner", "without the public key", encapsulate=combined(lambda m, x, _, c, p: sha3(m, x, c, s.XWING_LABEL)))
    add("combiner", "with the ML-KEM ciphertext",
        encapsulate=combined(lambda m, x, ct, c, p: sha3(m, x, ct, c, p, s.XWING_LABEL)))  # fmt: skip
    add("combiner", "SHA-256", encapsulate=combined(
        lambda m, x, _, c, p: hashlib.sha256(m + x + c + p + s.XWING_LABEL).digest()))  # fmt: skip
    add("combiner", "ML-KEM alone", encapsulate=combined(lambda m, x, _, c, p: m))
    add("combiner", "X25519 alone", encapsulate=combined(lambda m, x, _, c, p: x))
    add("combiner", "X25519 secret zero",
        encapsulate=combined(lambda m, x, _, c, p: sha3(m, bytes(32), c, p, s.XWING_LABEL)))  # fmt: skip
    add("combiner", "ML-KEM secret zero",
        encapsulate=combined(lambda m, x, _, c, p: sha3(bytes(32), x, c, p, s.XWING_LABEL)))  # fmt: skip
    add("combiner", "its secret extracted once more",
        encapsulate=combined(lambda m, x, _, c, p: s.dhkem_secret(s.xwing_combiner(m, x, c, p), c, p)),
        comment="HPKE takes the secret of this KEM as it is.")  # fmt: skip


def schemes(jobs):
    """A payload of one scheme under a key of the other."""
    large = {"witness": b" " * 3000, "witness_bytes_max": 65536}

    def to(scheme):
        def change(message):
            message.header("Sealprove-Key", KEY_ID[scheme])

        return change

    jobs.add("unseal-failed", "scheme", "x25519 under an xwing key", to("xwing"), "", key_id=KEY_ID["xwing"], **large)
    jobs.add("unseal-failed", "scheme", "xwing under an x25519 key", to("x25519"), "", scheme="xwing",
             key_id=KEY_ID["x25519"], **large)  # fmt: skip

    jobs.add("malformed-job", "scheme", "x25519, as short as may be, under an xwing key", to("xwing"),
             "Shorter than any seal of the scheme that the key has.", key_id=KEY_ID["xwing"])  # fmt: skip
    jobs.add("witness-too-large", "scheme", "xwing under an x25519 key of a small circuit", to("x25519"),
             "Its encapsulated key alone is longer than the largest payload.", scheme="xwing", key_id=KEY_ID["x25519"])  # fmt: skip

    def to_the_x25519_part(_, ephemeral):
        return s.encapsulate("x25519", PUBLIC["xwing"][s.PK_M_BYTES :], ephemeral[32:])

    comment = "Sealed with DHKEM to the X25519 part of the key: whoever could choose the scheme could weaken it."
    jobs.add("unseal-failed", "scheme", "x25519 to the X25519 part of an xwing key", None, comment,
             Making(encapsulate=to_the_x25519_part, context={"kem_id": 0x0020}), scheme="xwing", **large)  # fmt: skip
    jobs.add("unseal-failed", "scheme", "the same under the KEM id of xwing", None, comment,
             Making(encapsulate=to_the_x25519_part), scheme="xwing", **large)  # fmt: skip

    def behind_zeros(public, ephemeral):
        shared_secret, enc = to_the_x25519_part(public, ephemeral)
        return shared_secret, bytes(s.CT_M_BYTES) + enc

    jobs.add("unseal-failed", "scheme", "the same behind an ML-KEM part of zeros", None, comment,
             Making(encapsulate=behind_zeros), scheme="xwing")  # fmt: skip


def suites(jobs):
    """The HPKE suite and its mode."""
    def context(mutation, arguments, comment=""):
        jobs.both("unseal-failed", "suite", mutation, None, comment, making=Making(context=arguments))

    context("KEM id of DHKEM(P-256)", {"kem_id": 0x0010})
    context("KEM id of X25519Kyber768Draft00", {"kem_id": 0x0030})
    context("KDF id of HKDF-SHA512", {"kdf_id": 0x0003}, "Only the id: the hash is still SHA-256.")
    context("AEAD id of AES-256-GCM", {"aead_id": 0x0002}, "Only the id.")
    context("mode psk", {"mode": 1, "psk": bytes(32), "psk_id": b"sealprove"})
    context("mode auth", {"mode": 2}, "Only the mode's byte.")

    def with_aes(ctx, plaintext):
        return AESGCM(ctx.key).encrypt(ctx.base_nonce, plaintext, b"")

    jobs.both("unseal-failed", "suite", "AES-256-GCM", making=Making(context={"aead_id": 0x0002}, encrypt=with_aes))
    jobs.both("unseal-failed", "suite", "AES-256-GCM under the id of ChaCha20Poly1305", making=Making(encrypt=with_aes))

    def encrypted(mutation, encrypt):
        jobs.both("unseal-failed", "context", mutation, making=Making(encrypt=encrypt))

    encrypted("sequence number 1", lambda ctx, plain: ctx.seal(plain, sequence=1))
    encrypted("associated data", lambda ctx, plain: ctx.seal(plain, b"sealprove/1 job\n"))
    encrypted("nonce of zeros", lambda ctx, plain: s.ChaCha20Poly1305(ctx.key).encrypt(bytes(12), plain, b""))
    encrypted("under the exporter secret",
              lambda ctx, plain: s.ChaCha20Poly1305(ctx.exporter_secret).encrypt(ctx.base_nonce, plain, b""))  # fmt: skip
    encrypted("under the shared secret",
              lambda ctx, plain: s.ChaCha20Poly1305(ctx.shared_secret).encrypt(ctx.base_nonce, plain, b""))  # fmt: skip


def ciphertexts(jobs):
    def changed(mutation, change, **job):
        def both_parts(message):
            body = change(message.ciphertext[:-16])
            message.payload = message.enc + body + message.tag

        jobs.both("unseal-failed", "ciphertext", mutation, both_parts, **job)

    changed("first bit changed", lambda body: flip(body, 0))
    changed("a bit in the middle changed", lambda body: flip(body, 512))
    changed("last bit changed", lambda body: flip(body, -1, 0x80))
    changed("two blocks exchanged", lambda body: body[64:128] + body[:64] + body[128:])
    changed("zeros", lambda body: bytes(len(body)))
    changed("reversed", lambda body: body[::-1])
    changed("a block short", lambda body: body[:-64], witness=b" " * 1021)
    changed("a block more", lambda body: body + body[-64:])
    changed("the plaintext itself", lambda body: s.pad(b"\0" * 8))


def tags(jobs):
    def changed(mutation, change, **job):
        jobs.both("unseal-failed", "tag", mutation,
                  lambda m: setattr(m, "payload", m.enc + change(m.ciphertext[:-16], m.tag, m)), **job)  # fmt: skip

    long = {"witness": b" " * 1021}
    changed("first bit changed", lambda body, tag, m: body + flip(tag, 0))
    changed("last bit changed", lambda body, tag, m: body + flip(tag, -1, 0x80))
    changed("zeros", lambda body, tag, m: body + bytes(16))
    changed("reversed", lambda body, tag, m: body + tag[::-1])
    changed("15 bytes", lambda body, tag, m: body + tag[:15], **long)
    changed("8 bytes", lambda body, tag, m: body + tag[:8], **long)
    changed("none", lambda body, tag, m: body, **long)
    changed("17 bytes", lambda body, tag, m: body + tag + b"\0")
    changed("twice", lambda body, tag, m: body + tag + tag)
    changed("before the ciphertext", lambda body, tag, m: tag + body)
    changed("of another job", lambda body, tag, m: body + donor(m).tag)


def payloads(jobs):
    def is_now(payload):
        return lambda m: setattr(m, "payload", payload(m))

    jobs.both("malformed-job", "payload", "empty", is_now(lambda m: b""))
    jobs.both("malformed-job", "payload", "one byte", is_now(lambda m: m.payload[:1]))
    jobs.both("malformed-job", "payload", "enc alone", is_now(lambda m: m.enc))
    jobs.both("malformed-job", "payload", "without enc", is_now(lambda m: m.ciphertext))
    jobs.both("malformed-job", "payload", "a byte shorter than any", is_now(lambda m: m.payload[:-1]))
    jobs.both("malformed-job", "payload", "half", is_now(lambda m: m.payload[: len(m.payload) // 2]))
    jobs.both("unseal-failed", "payload", "as short as any, and zeros", is_now(lambda m: bytes(len(m.payload))))
    jobs.both("unseal-failed", "payload", "a byte less at the end", is_now(lambda m: m.payload[:-1]), witness=b" " * 1021)
    jobs.both("unseal-failed", "payload", "a byte more at the end", is_now(lambda m: m.payload + b"\0"))
    jobs.both("unseal-failed", "payload", "a byte more at the start", is_now(lambda m: b"\0" + m.payload))
    jobs.both("unseal-failed", "payload", "a line's end behind", is_now(lambda m: m.payload + b"\n"))
    jobs.both("unseal-failed", "payload", "CR LF behind", is_now(lambda m: m.payload + b"\r\n"))
    jobs.both("unseal-failed", "payload", "a byte order mark before", is_now(lambda m: b"\xef\xbb\xbf" + m.payload))
    jobs.both("unseal-failed", "payload", "reversed", is_now(lambda m: m.payload[::-1]))
    jobs.both("unseal-failed", "payload", "of another job", is_now(lambda m: donor(m).payload))
    jobs.both("unseal-failed", "payload", "with its length before",
              is_now(lambda m: len(m.payload).to_bytes(4, "big") + m.payload))  # fmt: skip
    jobs.both("unseal-failed", "payload", "twice", is_now(lambda m: m.payload * 2), **LARGE)
    jobs.both("witness-too-large", "payload", "longer than the largest witness makes",
              is_now(lambda m: m.payload + bytes(65)))  # fmt: skip


def encodings(jobs):
    """What happens to bytes on the way through programs that take them for text."""
    def encoded(mutation, encode, expect="unseal-failed"):
        jobs.both(expect, "payload", mutation, lambda m: setattr(m, "payload", encode(m.payload)), **LARGE)

    encoded("in base64", base64.b64encode)
    encoded("in base64url without padding", lambda payload: base64.urlsafe_b64encode(payload).rstrip(b"="))
    encoded("in hexadecimal", lambda payload: payload.hex().encode())
    encoded("Latin-1 taken to UTF-8", lambda payload: payload.decode("latin-1").encode())
    encoded("UTF-8 with replacement characters", lambda payload: payload.decode("utf-8", "replace").encode())
    encoded("LF made CR LF", lambda payload: payload.replace(b"\n", b"\r\n"))
    encoded("compressed", lambda payload: gzip.compress(payload, mtime=0))
    encoded("as a JSON string of base64", lambda payload: b'"' + base64.b64encode(payload) + b'"', "plaintext-rejected")
    encoded("as a JSON array of bytes", lambda payload: str(list(payload)).encode(), "plaintext-rejected")
    encoded("as PEM", lambda payload: b"-----BEGIN SEALED-----\n" + base64.encodebytes(payload), "plaintext-rejected")
