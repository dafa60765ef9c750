"""Bundles that are signed by the right identity and hold something wrong, and the choice of a key."""

import hashlib

from .files import b64
from .message import KEY_ID, NOW, OTHER_VERIFYING_KEY, PUBLIC, VERIFYING_KEY


def make(bundles):
    from . import bundles as b

    top_level(bundles, b)
    keys(bundles, b)
    circuits(bundles, b)
    choices(bundles, b)


def signed(bundles, expect, field, mutation, members, comment="", **options):
    bundles.add(expect, field, mutation, None, comment, members=members, **options)


def top_level(bundles, b):
    def says(field, mutation, value, comment=""):
        signed(bundles, "refused-malformed", field, mutation, lambda old: old | {field: value}, comment)

    for name in ("version", "deployment", "identity", "serial", "issued_at", "expires_at", "keys", "circuits"):
        signed(bundles, "refused-malformed", name, "missing", lambda old, n=name: without(old, n))
        says(name, "null", None)
    says("version", "2", "2")
    says("version", "a number", 1)
    says("version", "a leading zero", "01")
    says("deployment", "empty", "")
    says("deployment", "65 characters", "d" * 65)
    says("deployment", "with a space", "the lab")
    says("deployment", "with a line's end", "lab\ndefault", "It would make two lines of one in `info`.")
    says("deployment", "not ASCII", "läb")
    says("identity", "without ed25519:", b.identity().removeprefix("ed25519:"))
    says("identity", "31 bytes", "ed25519:" + b64(bytes(31)))
    says("identity", "in hexadecimal", "ed25519:" + b.SIGNER.public_key().public_bytes_raw().hex())
    says("serial", "negative", -1)
    says("serial", "as text", "7")
    says("serial", "2^64", 2**64)
    says("serial", "with a fraction", 7.5)
    says("issued_at", "as text", "1799913600")
    says("expires_at", "negative", -1)
    says("expires_at", "as a date", "2027-02-14T08:00:00Z")
    says("keys", "an object", {"x25519": b.a_key("x25519")})
    says("circuits", "an object", {"threshold-v1": b.a_circuit()})
    says("circuits", "names alone", ["threshold-v1"])

    signed(bundles, "accepted", "bundle", "a member more", lambda old: old | {"note": {"readers": ["ignore", "it"]}})
    signed(bundles, "accepted", "key", "a member more",
           lambda old: old | {"keys": [b.a_key("x25519", comment="of January")]})  # fmt: skip
    signed(bundles, "accepted", "circuit", "a member more",
           lambda old: old | {"circuits": [b.a_circuit(summary="at least")]})  # fmt: skip
    signed(bundles, "accepted", "circuits", "none", lambda old: old | {"circuits": []})
    signed(bundles, "accepted", "keys", "none", lambda old: old | {"keys": []}, chosen=None)
    signed(bundles, "accepted", "deployment", "64 characters", lambda old: old | {"deployment": "d" * 64})


def without(members: dict, name: str) -> dict:
    return {key: value for key, value in members.items() if key != name}


def keys(bundles, b):
    def has(mutation, *listed, field="key", comment="", scheme="x25519"):
        signed(bundles, "refused-malformed", field, mutation, lambda old: old | {"keys": list(listed)}, comment, scheme=scheme)

    for scheme in ("x25519", "xwing"):
        key = b.a_key(scheme)
        for name in ("id", "public_key", "seal_from", "seal_until", "open_until"):
            has(f"without {name}", without(key, name), scheme=scheme)
        raw, other = PUBLIC[scheme], "xwing" if scheme == "x25519" else "x25519"

        def keyed(mutation, data, comment="", scheme=scheme):
            """With the id that follows from the bytes, so that the bytes are what is wrong."""
            key_id = hashlib.sha256(b"sealprove/1 key\n" + scheme.encode() + b"\n" + data).hexdigest()[:32]
            has(mutation, b.a_key(scheme, id=key_id, public_key=b64(data)), field="public_key", comment=comment, scheme=scheme)

        keyed("a byte short", raw[:-1])
        keyed("a byte long", raw + b"\0")
        keyed("empty", b"")
        keyed("of the other scheme", PUBLIC[other])
        has("first bit changed", key | {"public_key": b64(b.flip(raw, 0))}, field="public_key", scheme=scheme)
        has("of another key", key | {"public_key": b64(PUBLIC[f"{scheme} other"])}, field="public_key", scheme=scheme)
        has("in hexadecimal", key | {"public_key": raw.hex() + "0"}, field="public_key", scheme=scheme)
        if b64(raw).endswith("="):
            has("without padding", key | {"public_key": b64(raw).rstrip("=")}, field="public_key", scheme=scheme)
        has("of another key", key | {"id": KEY_ID[f"{scheme} other"]}, field="key id", scheme=scheme)
        has("under the other scheme's name", key | {"scheme": other}, field="key scheme", scheme=scheme)
        mislabelled = hashlib.sha256(b"sealprove/1 key\n" + other.encode() + b"\n" + raw).hexdigest()[:32]
        has("under the other scheme's name", key | {"id": mislabelled}, field="key id", scheme=scheme)
        has("in capitals", key | {"id": KEY_ID[scheme].upper()}, field="key id", scheme=scheme)
        has("64 digits", key | {"id": hashlib.sha256(b"sealprove/1 key\n" + scheme.encode() + b"\n" + raw).hexdigest()},
            field="key id", scheme=scheme)  # fmt: skip
        has("of the key alone", key | {"id": hashlib.sha256(raw).hexdigest()[:32]}, field="key id", scheme=scheme)
        has("a second too near", key | {"open_until": b.OPEN_UNTIL - 1}, field="open_until", scheme=scheme,
            comment="A job could outlive the key that opens it.")  # fmt: skip
        has("when the bundle expires", key | {"open_until": b.EXPIRES_AT}, field="open_until", scheme=scheme)
        has("a day after the bundle expires", key | {"open_until": b.EXPIRES_AT + b.DAY}, field="open_until", scheme=scheme,
            comment="Without the ten minutes for the answer.")  # fmt: skip
        has("when its time to be sealed to ends", key | {"seal_from": b.EXPIRES_AT}, field="seal_from", scheme=scheme)
        has("after its time to be sealed to ends", key | {"seal_from": b.EXPIRES_AT + 1}, field="seal_from", scheme=scheme)

    has("as text", b.a_key("x25519", seal_from="1799913600"), field="seal_from")
    has("negative", b.a_key("x25519", seal_from=-1), field="seal_from")
    has("behind one that is right", b.a_key("x25519"), b.a_key("x25519 other", open_until=b.OPEN_UNTIL - 1), field="open_until",
        comment="One such key refuses the bundle.")  # fmt: skip
    has("listed twice", b.a_key("x25519"), b.a_key("x25519"), comment="Which one counts would be anybody's choice.")
    has("listed twice, with two lives", b.a_key("x25519"), b.a_key("x25519", seal_until=b.EXPIRES_AT - 1))
    has("xwing without its X25519 part", b.a_key("xwing", public_key=b64(PUBLIC["xwing"][:1184])), field="public_key",
        scheme="xwing")  # fmt: skip
    has("xwing, its parts exchanged", b.a_key("xwing", public_key=b64(PUBLIC["xwing"][1184:] + PUBLIC["xwing"][:1184])),
        field="public_key", scheme="xwing")  # fmt: skip


def circuits(bundles, b):
    def has(mutation, *listed, field="circuit", comment="", expect="refused-malformed"):
        signed(bundles, expect, field, mutation, lambda old: old | {"circuits": list(listed)}, comment)

    for name in ("id", "verifying_key", "media_type", "witness_bytes_max", "answer_bytes_max"):
        has(f"without {name}", without(b.a_circuit(), name))
    for name, mutation, value in [
        ("id", "with a capital", "Threshold-v1"), ("id", "with a dot", "threshold.v1"), ("id", "empty", ""),
        ("id", "65 characters", "c" * 65), ("id", "a wildcard", "*"),
        ("verifying_key", "any", "any"), ("verifying_key", "in capitals", VERIFYING_KEY.upper()),
        ("verifying_key", "63 digits", VERIFYING_KEY[:-1]), ("verifying_key", "without sha256:", VERIFYING_KEY[7:]),
        ("witness_bytes_max", "2^32", 2**32), ("witness_bytes_max", "negative", -1), ("witness_bytes_max", "as text", "1024"),
        ("answer_bytes_max", "2^32", 2**32), ("answer_bytes_max", "with a fraction", 0.5),
        ("media_type", "a number", 7),
    ]:  # fmt: skip
        has(mutation, b.a_circuit(**{name: value}), field=f"circuit {name}")

    two = b.labelled("nu5", "nu6")
    has("two, in their order", b.a_circuit(verifying_key=b.catalogue(two), verifying_keys=two),
        field="circuit verifying_keys", expect="accepted")  # fmt: skip
    has("two, in the other order", b.a_circuit(verifying_key=b.catalogue(two), verifying_keys=two[::-1]),
        field="circuit verifying_keys", expect="accepted", comment="Their lines are sorted.")  # fmt: skip
    has("one that is the digest", b.a_circuit(verifying_keys=[{"label": "v1", "digest": VERIFYING_KEY}]),
        field="circuit verifying_keys", expect="accepted")  # fmt: skip
    has("schema null", b.a_circuit(schema=None), expect="accepted")
    has("one more than the digest is of", b.a_circuit(verifying_key=b.catalogue(two), verifying_keys=b.labelled("nu5", "nu6", "nu7")),
        field="circuit verifying_keys")  # fmt: skip
    has("one less than the digest is of", b.a_circuit(verifying_key=b.catalogue(two), verifying_keys=two[:1]),
        field="circuit verifying_keys")  # fmt: skip
    has("another label", b.a_circuit(verifying_key=b.catalogue(two), verifying_keys=[two[0], two[1] | {"label": "nu7"}]),
        field="circuit verifying_keys")  # fmt: skip
    has("labels exchanged", b.a_circuit(verifying_key=b.catalogue(two), verifying_keys=[
        two[0] | {"label": "nu6"}, two[1] | {"label": "nu5"}]), field="circuit verifying_keys")  # fmt: skip
    has("one that is not the digest", b.a_circuit(verifying_keys=[{"label": "v1", "digest": OTHER_VERIFYING_KEY}]),
        field="circuit verifying_keys")  # fmt: skip
    has("a digest over digests alone", b.a_circuit(verifying_keys=two, verifying_key="sha256:" + hashlib.sha256(
        "".join(key["digest"] for key in two).encode()).hexdigest()), field="circuit verifying_keys")  # fmt: skip
    has("a label without a digest", b.a_circuit(verifying_keys=[{"label": "v1"}]), field="circuit verifying_keys")
    has("listed twice", b.a_circuit(), b.a_circuit(), comment="Which one counts would be anybody's choice.")
    has("listed twice, with two verifying keys", b.a_circuit(), b.a_circuit(verifying_key=OTHER_VERIFYING_KEY))


def choices(bundles, b):
    """Keys that are passed over, and which one of several a client seals to."""
    def chosen(mutation, chosen_key, *listed, comment="", **options):
        chosen_id = KEY_ID[chosen_key] if chosen_key else None
        signed(bundles, "accepted", "keys", mutation, lambda old: old | {"keys": list(listed)}, comment, chosen=chosen_id, **options)

    newer, older = b.NOW - 60, b.NOW - 2 * b.DAY
    a_scheme_to_come = {"id": "00" * 16, "scheme": "x448", "public_key": b64(bytes(56)), "seal_from": b.NOW,
                        "seal_until": b.NOW, "open_until": 0}  # fmt: skip
    chosen("one of a scheme to come", "x25519", a_scheme_to_come, b.a_key("x25519"), comment="It is passed over.")
    chosen("one of a scheme to come, of another shape", "x25519", b.a_key("x25519"), {"scheme": "mlkem1024", "key": 7})
    chosen("only one of a scheme to come", None, a_scheme_to_come)
    chosen("the later of two", "x25519 other", b.a_key("x25519", seal_from=older), b.a_key("x25519 other", seal_from=newer))
    chosen("the later of two, listed first", "x25519 other", b.a_key("x25519 other", seal_from=newer),
           b.a_key("x25519", seal_from=older))  # fmt: skip
    chosen("one whose time is to come", "x25519", b.a_key("x25519"), b.a_key("x25519 other", seal_from=b.NOW + 1))
    chosen("one whose time begins now", "x25519 other", b.a_key("x25519"), b.a_key("x25519 other", seal_from=b.NOW))
    chosen("one whose time is over", "x25519", b.a_key("x25519", seal_from=older),
           b.a_key("x25519 other", seal_from=newer, seal_until=b.NOW))  # fmt: skip
    chosen("only one whose time is over", None, b.a_key("x25519", seal_until=b.NOW))
    chosen("only one whose time is to come", None, b.a_key("x25519", seal_from=b.NOW + 1))
    chosen("a deadline as late as it opens", "x25519", b.a_key("x25519"), expires=b.OPEN_UNTIL)
    chosen("a deadline after it opens", None, b.a_key("x25519"), expires=b.OPEN_UNTIL + 1)
    chosen("xwing alone", "xwing", b.a_key("xwing"), scheme="xwing")
    chosen("xwing and x25519", "xwing", b.a_key("xwing"), b.a_key("x25519"), scheme="xwing")
    chosen("x25519 and xwing", "xwing", b.a_key("x25519"), b.a_key("xwing"), scheme="xwing")
    chosen("xwing, and a later x25519", "xwing", b.a_key("xwing", seal_from=older), b.a_key("x25519", seal_from=newer),
           scheme="xwing", comment="The stronger scheme comes before the later key.")  # fmt: skip
    chosen("xwing whose time is over, and x25519", "x25519", b.a_key("xwing", seal_until=b.NOW), b.a_key("x25519"), scheme="xwing")
    chosen("the later of two of xwing", "xwing other", b.a_key("xwing", seal_from=older),
           b.a_key("xwing other", seal_from=newer), scheme="xwing")  # fmt: skip
    assert NOW == b.NOW
