"""The vectors of `bundle/`: what a client makes of a signed bundle."""

import base64
import copy
import hashlib
import json

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from . import bundle_members
from .files import Folder, b64
from .message import KEY_ID, NOW, PUBLIC, VERIFYING_KEY

DAY = 86_400
LABEL = b"sealprove/1 bundle\n"
SERIAL = 7
EXPIRES_AT = NOW + 30 * DAY
# The last deadline of a job that is sealed in the bundle's last second, and the time for its answer.
OPEN_UNTIL = EXPIRES_AT + DAY + 600
ORDER = 2**252 + 27742317777372353535851937790883648493
SIGNER = Ed25519PrivateKey.from_private_bytes(bytes([7]) * 32)
OTHER_SIGNER = Ed25519PrivateKey.from_private_bytes(bytes([8]) * 32)


def identity(signer=SIGNER) -> str:
    return "ed25519:" + b64(signer.public_key().public_bytes_raw())


def a_key(name: str, **members) -> dict:
    return {"id": KEY_ID[name], "scheme": name.split()[0], "public_key": b64(PUBLIC[name]), "seal_from": NOW - DAY,
            "seal_until": EXPIRES_AT, "open_until": OPEN_UNTIL} | members  # fmt: skip


def a_circuit(**members) -> dict:
    return {"id": "threshold-v1", "verifying_key": VERIFYING_KEY, "media_type": "application/json",
            "schema": {"type": "object"}, "witness_bytes_max": 1024, "answer_bytes_max": 8192} | members  # fmt: skip


def labelled(*labels: str) -> list[dict]:
    return [{"label": label, "digest": "sha256:" + hashlib.sha256(label.encode()).hexdigest()} for label in labels]


def catalogue(keys: list[dict]) -> str:
    lines = sorted(f"{key['label']}:{key['digest']}\n".encode() for key in keys)
    return "sha256:" + hashlib.sha256(b"".join(lines)).hexdigest()


def a_bundle() -> dict:
    return {"version": "1", "deployment": "lab", "identity": identity(), "serial": SERIAL, "issued_at": NOW - DAY,
            "expires_at": EXPIRES_AT, "keys": [a_key("x25519")], "circuits": [a_circuit()]}  # fmt: skip


def compact(value) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


class Bundle:
    """A bundle that is right: its payload's bytes, their signature, and what the client knows."""

    def __init__(self, change=None, payload=None, signer=SIGNER):
        bundle = a_bundle()
        if change:
            bundle = change(copy.deepcopy(bundle)) or bundle
        self.payload = payload(bundle) if payload else compact(bundle)
        self.signature = signer.sign(LABEL + self.payload)
        self.identity, self.now, self.seen = identity(), NOW, SERIAL
        self.travels = lambda b: compact({"payload": b64(b.payload), "signature": b64(b.signature)}) + b"\n"

    def lines(self) -> list[tuple[str, str]]:
        return [("identity", self.identity), ("now", str(self.now)), ("seen", str(self.seen)),
                ("signed", b64(self.travels(self)))]  # fmt: skip


class Bundles:
    """Collects the vectors."""

    def __init__(self):
        self.folder = Folder("bundle")

    def add(self, expect, field, mutation, change=None, comment="", *, members=None, scheme="x25519", payload=None,
            signer=SIGNER, chosen=KEY_ID["x25519"], expires=NOW + 3600):  # fmt: skip
        """`members` changes what is signed, `change` what is made of it."""
        bundle = Bundle(members, payload, signer)
        if change:
            change(bundle)
        lines = bundle.lines()
        if expect == "accepted":
            lines += [("serial", str(SERIAL)), ("expires", str(expires)), ("chosen", chosen or "none")]
        self.folder.add(expect, field, mutation, scheme, comment, lines)


def make() -> Folder:
    bundles = Bundles()
    times_and_serials(bundles)
    signatures(bundles)
    envelopes(bundles)
    payloads(bundles)
    bundle_members.make(bundles)
    return bundles.folder


def times_and_serials(bundles):
    bundles.add("accepted", "none", "none")
    for name, value, expect in [
        ("now", EXPIRES_AT - 1, "accepted"),
        ("now", EXPIRES_AT, "refused-expired"),
        ("now", EXPIRES_AT + 1, "refused-expired"),
        ("now", 2**63, "refused-expired"),
        ("seen", 0, "accepted"),
        ("seen", SERIAL - 1, "accepted"),
        ("seen", SERIAL + 1, "refused-rollback"),
        ("seen", 2**64 - 1, "refused-rollback"),
    ]:
        late = {"expires": EXPIRES_AT + 60} if name == "now" and expect == "accepted" else {}
        bundles.add(expect, name, str(value), lambda b, n=name, v=value: setattr(b, n, v), **late)
    bundles.add("refused-expired", "expires_at", "when it was issued", members=lambda b: b | {"expires_at": NOW - DAY})
    bundles.add("refused-rollback", "serial", "zero", members=lambda b: b | {"serial": 0})
    bundles.add("refused-rollback", "serial", "one less than seen", members=lambda b: b | {"serial": SERIAL - 1})


def flip(data: bytes, index: int, bit: int = 1) -> bytes:
    changed = bytearray(data)
    changed[index] ^= bit
    return bytes(changed)


def signatures(bundles):
    def signature(mutation, change, comment=""):
        bundles.add("refused-signature", "signature", mutation,
                    lambda b: setattr(b, "signature", change(b.signature, b.payload)), comment)  # fmt: skip

    signature("first bit changed", lambda old, _: flip(old, 0))
    signature("a bit of the second half changed", lambda old, _: flip(old, 40))
    signature("last bit changed", lambda old, _: flip(old, -1, 0x80))
    signature("63 bytes", lambda old, _: old[:-1])
    signature("65 bytes", lambda old, _: old + b"\0")
    signature("32 bytes", lambda old, _: old[:32])
    signature("empty", lambda old, _: b"")
    signature("zeros", lambda old, _: bytes(64))
    signature("halves exchanged", lambda old, _: old[32:] + old[:32])
    signature("reversed", lambda old, _: old[::-1])
    signature("with its number S and the group's order", lambda old, _: malleated(old), "RFC 8032 section 5.1.7: S < L.")
    signature("without its label", lambda _, payload: SIGNER.sign(payload))
    signature("of another label", lambda _, payload: SIGNER.sign(b"sealprove/1 job\n" + payload))
    signature("of version 2's label", lambda _, payload: SIGNER.sign(b"sealprove/2 bundle\n" + payload))
    signature("with the label behind", lambda _, payload: SIGNER.sign(payload + LABEL))
    signature("with a label without its line's end", lambda _, payload: SIGNER.sign(LABEL[:-1] + payload))
    signature("with the label twice", lambda _, payload: SIGNER.sign(LABEL + LABEL + payload))
    signature("over the payload's base64", lambda _, payload: SIGNER.sign(LABEL + base64.b64encode(payload)))
    signature("over the payload's SHA-512", lambda _, payload: SIGNER.sign(LABEL + hashlib.sha512(payload).digest()))
    signature("over the payload with a line's end", lambda _, payload: SIGNER.sign(LABEL + payload + b"\n"))
    signature("of another bundle", lambda _, payload: SIGNER.sign(LABEL + payload.replace(b'"serial":7', b'"serial":8')))
    signature("of another identity", lambda _, payload: OTHER_SIGNER.sign(LABEL + payload))
    bundles.add("refused-signature", "identity", "another is pinned", lambda b: setattr(b, "identity", identity(OTHER_SIGNER)))
    bundles.add("refused-signature", "identity", "another signs in its own name", signer=OTHER_SIGNER,
                members=lambda b: b | {"identity": identity(OTHER_SIGNER)})  # fmt: skip
    bundles.add("refused-malformed", "identity", "another is named in it", members=lambda b: b | {"identity": identity(OTHER_SIGNER)},
                comment="Signed by the pinned one all the same.")  # fmt: skip
    small = "ed25519:" + b64(b"\1" + bytes(31))

    def of_small_order(bundle):
        """The neutral element as key and as R, and zero as S: without a check, that signs everything."""
        bundle.identity, bundle.signature = small, b"\1" + bytes(63)

    bundles.add("refused-signature", "identity", "of small order", of_small_order, "It would sign every bundle.",
                members=lambda b: b | {"identity": small})  # fmt: skip

    def changed(mutation, old, new):
        bundles.add("refused-signature", "payload", mutation,
                    lambda b: setattr(b, "payload", replaced(b.payload, old, new)))  # fmt: skip

    changed("serial raised after it was signed", b'"serial":7', b'"serial":9')
    changed("another deployment after it was signed", b'"lab"', b'"bal"')
    changed("a longer life after it was signed", b'"expires_at":18', b'"expires_at":19')
    changed("another key's life after it was signed", b'"open_until":18', b'"open_until":19')
    changed("a line's end behind after it was signed", b'"answer_bytes_max":8192}]}', b'"answer_bytes_max":8192}]}\n')

    def again(mutation, write):
        bundles.add("refused-signature", "payload", mutation,
                    lambda b: setattr(b, "payload", write(json.loads(b.payload))), "The signature is over bytes.")  # fmt: skip

    again("serialised again with spaces", lambda value: json.dumps(value).encode())
    again("serialised again in another order", lambda value: compact(dict(sorted(value.items()))))
    again("serialised again with lines", lambda value: json.dumps(value, indent=1).encode())


def replaced(data: bytes, old: bytes, new: bytes) -> bytes:
    assert data.count(old) == 1
    return data.replace(old, new)


def malleated(signature: bytes) -> bytes:
    number = int.from_bytes(signature[32:], "little") + ORDER
    return signature[:32] + number.to_bytes(32, "little")


def envelopes(bundles):
    """`{"payload": …, "signature": …}`."""
    def travels(expect, mutation, write, comment=""):
        bundles.add(expect, "envelope", mutation, lambda b: setattr(b, "travels", write), comment)

    def both(b):
        return {"payload": b64(b.payload), "signature": b64(b.signature)}

    travels("accepted", "members in the other order", lambda b: compact(dict(reversed(both(b).items()))))
    travels("accepted", "with white space, lines ended by CR LF",
            lambda b: json.dumps(both(b), indent=2).replace("\n", "\r\n").encode())  # fmt: skip
    travels("accepted", "without a line's end", lambda b: compact(both(b)))
    travels("accepted", "with escapes in its text", lambda b: compact(both(b)).replace(b'"payload"', b'"pay\\u006coad"'))
    travels("refused-malformed", "with a third member", lambda b: compact(both(b) | {"note": ""}))
    travels("refused-malformed", "without its payload", lambda b: compact({"signature": b64(b.signature)}))
    travels("refused-malformed", "without its signature", lambda b: compact({"payload": b64(b.payload)}))
    travels("refused-malformed", "signature null", lambda b: compact(both(b) | {"signature": None}))
    travels("refused-malformed", "payload an object", lambda b: compact(both(b) | {"payload": json.loads(b.payload)}))
    travels("refused-malformed", "payload JSON in a string", lambda b: compact(both(b) | {"payload": b.payload.decode()}))
    travels("refused-malformed", "names with capitals", lambda b: compact({k.title(): v for k, v in both(b).items()}))
    travels("refused-malformed", "an array", lambda b: b"[" + compact(both(b)) + b"]")
    travels("refused-malformed", "twice", lambda b: compact(both(b)) * 2)
    travels("refused-malformed", "cut short", lambda b: compact(both(b))[:-1])
    travels("refused-malformed", "empty", lambda b: b"")
    travels("refused-malformed", "with a byte order mark", lambda b: b"\xef\xbb\xbf" + compact(both(b)))
    travels("refused-malformed", "in UTF-16", lambda b: compact(both(b)).decode().encode("utf-16"))
    travels("refused-malformed", "in base64", lambda b: base64.b64encode(compact(both(b))))
    travels("refused-malformed", "the payload alone", lambda b: b.payload)

    def spelled(name, mutation, spell, comment=""):
        bundles.add("refused-malformed", f"envelope {name}", mutation,
                    lambda b: setattr(b, "travels", lambda b: compact(both(b) | {name: spell(getattr(b, name))})), comment)  # fmt: skip

    for name in ("payload", "signature"):
        spelled(name, "with a space inside", lambda data: b64(data)[:8] + " " + b64(data)[8:])
        spelled(name, "in lines", lambda data: "\n".join([b64(data)[:64], b64(data)[64:]]))
        spelled(name, "with more padding", lambda data: b64(data) + "=")
        spelled(name, "with a colon before", lambda data: ":" + b64(data))
    spelled("signature", "without padding", lambda data: b64(data).rstrip("="))
    spelled("signature", "as an array of bytes", list)

    def urlsafe(bundle):
        # A comment of the operator's, so that the base64 of the payload has both of the digits that differ.
        text = {"payload": base64.urlsafe_b64encode(bundle.payload).decode(), "signature": b64(bundle.signature)}
        assert "-" in text["payload"] or "_" in text["payload"]
        return compact(text)

    bundles.add("refused-malformed", "envelope payload", "in base64url", lambda b: setattr(b, "travels", urlsafe),
                members=lambda b: b | {"note": "~~~~????>>>>"})  # fmt: skip


def payloads(bundles):
    """Payloads that were signed as they are."""
    def written(expect, mutation, payload, comment=""):
        bundles.add(expect, "payload", mutation, None, comment, payload=payload)

    written("accepted", "with white space, lines ended by CR LF",
            lambda bundle: json.dumps(bundle, indent=2).replace("\n", "\r\n").encode(),
            "Whatever JSON was signed: nobody needs a canonical one.")  # fmt: skip
    written("accepted", "members in another order", lambda bundle: compact(dict(sorted(bundle.items()))))
    written("accepted", "with escapes in its text", lambda bundle: compact(bundle).replace(b'"lab"', b'"\\u006cab"'))
    written("refused-malformed", "empty", lambda bundle: b"")
    written("refused-malformed", "cut short", lambda bundle: compact(bundle)[:-1])
    written("refused-malformed", "with something behind", lambda bundle: compact(bundle) + b"1")
    written("refused-malformed", "twice", lambda bundle: compact(bundle) * 2)
    written("refused-malformed", "an array", lambda bundle: b"[" + compact(bundle) + b"]")
    written("refused-malformed", "null", lambda bundle: b"null")
    written("refused-malformed", "with a byte order mark", lambda bundle: b"\xef\xbb\xbf" + compact(bundle))
    written("refused-malformed", "in UTF-16", lambda bundle: compact(bundle).decode().encode("utf-16"))
    written("refused-malformed", "not UTF-8", lambda bundle: compact(bundle)[:-1] + b',"note":"\xff"}')
    written("refused-malformed", "in base64", lambda bundle: base64.b64encode(compact(bundle)))
    written("refused-malformed", "with a comma too many", lambda bundle: compact(bundle)[:-1] + b",}")
