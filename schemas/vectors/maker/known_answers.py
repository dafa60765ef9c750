"""Holds `seal` to the published test vectors, and to another implementation of HPKE, before anything is made of it."""

import json
from pathlib import Path

from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric import mlkem, x25519

from . import seal as s
from .message import KEYS, Job, Message

DATA = Path(__file__).resolve().parents[3] / "tests" / "data"


def vectors(name: str) -> list[dict]:
    return json.loads((DATA / f"{name}.json").read_text())


def check():
    for vector in vectors("xwing-draft"):
        published = {name: bytes.fromhex(value) for name, value in vector.items()}
        assert s.public_key("xwing", published["sk"]) == published["pk"]
        made = s.encapsulate("xwing", published["pk"], published["eseed"])
        assert made == (published["ss"], published["ct"])
    for vector in vectors("rfc9180-x25519-chacha20poly1305") + vectors("hpke-pq-xwing-chacha20poly1305"):
        check_hpke(vector)
    for scheme in ("x25519", "xwing"):
        check_library(scheme)


def check_hpke(vector: dict):
    published = {name: bytes.fromhex(value) for name, value in vector.items() if isinstance(value, str)}
    scheme = "x25519" if vector["kem_id"] == s.KEM_ID["x25519"] else "xwing"
    assert s.public_key(scheme, published["skRm"]) == published["pkRm"]
    made = s.encapsulate(scheme, published["pkRm"], published["skEm" if scheme == "x25519" else "ikmE"])
    assert made == (published["shared_secret"], published["enc"])
    context = s.Context(made[0], published["info"], vector["kem_id"])
    for sequence, encryption in enumerate(vector["encryptions"]):
        plaintext, aad = bytes.fromhex(encryption["pt"]), bytes.fromhex(encryption["aad"])
        assert context.seal(plaintext, aad, sequence).hex() == encryption["ct"]
    for export in vector["exports"]:
        assert context.export(bytes.fromhex(export["exporter_context"]), export["L"]).hex() == export["exported_value"]


def check_library(scheme: str):
    """The HPKE of `cryptography` opens what is sealed here; it has its own ML-KEM and its own combiner."""
    message = Message(f"check/{scheme}", Job(scheme=scheme))
    if scheme == "x25519":
        kem, private = hpke.KEM.X25519, x25519.X25519PrivateKey.from_private_bytes(KEYS["x25519"])
    else:
        expanded = s.hashlib.shake_256(KEYS["xwing"]).digest(96)
        private = hpke.MLKEM768X25519PrivateKey(
            mlkem.MLKEM768PrivateKey.from_seed_bytes(expanded[:64]),
            x25519.X25519PrivateKey.from_private_bytes(expanded[64:]),
        )
        kem = hpke.KEM.MLKEM768_X25519
    suite = hpke.Suite(kem, hpke.KDF.HKDF_SHA256, hpke.AEAD.CHACHA20_POLY1305)
    assert suite.decrypt(message.payload, private, message.info) == message.plaintext
