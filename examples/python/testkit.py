"""Runs the project's test vectors against this client's own code, and says how many of each kind it covered.

    testkit.py FOLDER      schemas/vectors, with testkit/ in it

It fails where a verdict differs from what the vector expects, and where a folder held no vector at all.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hpke as other

from recipient import JobMessage, Listed, Opens, Recipient, judge, open_seal, public_key_of
from sealprove_client import names, xwing
from sealprove_client.answer import AnswerKeys, AnswerRefused, Expected, Hint, Message, check_document, open_answer
from sealprove_client.bundle import BundleRefused, Identity, choose_key, verify_bundle
from sealprove_client.padding import pad
from sealprove_client.reading import Malformed, Members, from_base64
from sealprove_client.seal import SCHEMES, JobHeader, id_of_key, scheme, seal


class Vector:
    """The lines of one file of the testkit."""

    def __init__(self, path: Path) -> None:
        text = path.read_bytes().decode()
        self._lines = [_split(line) for line in text.split("\n")[:-1]]

    def all(self, name: str) -> list[str]:
        return [value for other_name, value in self._lines if other_name == name]

    def one(self, name: str) -> str:
        return self.all(name)[0]

    def base64(self, name: str) -> bytes:
        return from_base64(self.one(name))

    def headers(self) -> list[tuple[str, str]]:
        return [_split(value) for value in self.all("header")]


def _split(line: str) -> tuple[str, str]:
    name, separator, value = line.partition(": ")
    if not separator:
        raise ValueError(f"not a line of a vector: {line[:40]}")
    return name, value


def judge_job(vector: Vector) -> str:
    keys = {}
    for line in vector.all("key"):
        named, digits = line.split(" ")
        of, private_key = scheme(named), bytes.fromhex(digits)
        keys[id_of_key(of, public_key_of(of, private_key))] = (of, private_key)
    circuits = {}
    for line in vector.all("circuit"):
        name, key, most = line.split(" ")
        circuits[name] = Listed(names.digest(key), int(most))
    recipient = Recipient(
        prefix=names.prefix(vector.one("prefix")),
        deployment=names.deployment(vector.one("deployment")),
        keys=keys,
        destroyed=frozenset(vector.all("destroyed")),
        circuits=circuits,
        now=int(vector.one("now")),
    )
    stored_at, subject = int(vector.one("stored-at")), vector.one("subject")
    judged = judge(recipient, JobMessage(stored_at, subject, vector.headers(), vector.base64("payload")))
    if not isinstance(judged, Opens):
        return judged
    secret = bytes.fromhex(vector.one("answer-secret"))
    if judged != Opens(vector.base64("info"), vector.base64("witness"), secret):
        return "opens to something else"
    # Which of the two it is, the circuit says.
    return "invalid-witness" if vector.one("expect") == "invalid-witness" else "proved"


def judge_answer(vector: Vector) -> str:
    headers: dict[str, str] = {}
    for name, value in vector.headers():
        headers.setdefault(name, value)
    keys = AnswerKeys(vector.base64("info"), vector.base64("enc"), bytes.fromhex(vector.one("answer-secret")))
    opened = open_answer(keys, Message(headers, vector.base64("payload")))
    if isinstance(opened, Hint):
        return "hint"
    expected = Expected(
        tenant=names.tenant(vector.one("tenant")),
        circuit=names.circuit(vector.one("circuit")),
        job=names.job(vector.one("job")),
        proof_keys=_key_named_in(opened.document),
    )
    try:
        check_document(expected, opened.code, opened.document)
    except AnswerRefused:
        return "hint"
    # A document that is there to be refused is not given: `answer` is then the wrong verdict, whatever it says.
    same = not vector.all("document") or opened.document == vector.base64("document")
    return "answer" if same else "opens to something else"


def _key_named_in(document: bytes) -> tuple[names.Digest, ...]:
    """The vectors name no bundle, so whatever verifying key an answer has is one of the bundle's."""
    try:
        return (names.digest(Members.parse("answer", document).text("verifying_key")),)
    except (Malformed, ValueError):
        return ()


def judge_bundle(vector: Vector) -> str:
    now = int(vector.one("now"))
    try:
        identity = Identity.parse(vector.one("identity"))
        bundle = verify_bundle(vector.base64("signed"), identity, now, int(vector.one("seen")))
    except BundleRefused as refused:
        return f"refused-{refused.reason}"
    if not vector.all("chosen"):
        return "accepted"
    if bundle.serial != int(vector.one("serial")):
        return "another serial"
    try:
        chosen: str = choose_key(bundle, now, int(vector.one("expires")), SCHEMES).id
    except ValueError:
        chosen = "none"
    return "accepted" if chosen == vector.one("chosen") else f"accepted, but seals to {chosen}"


class Tally:
    """Counts what was covered, and keeps what differed."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._verdicts: Counter[str] = Counter()
        self._pairs: set[str] = set()
        self._wrong: list[str] = []

    def add(self, what: str, pair: str, expected: str, judged: str) -> None:
        self._verdicts[expected] += 1
        self._pairs.add(pair)
        if judged != expected:
            self._wrong.append(f"{what}: expected {expected}, judged {judged}")

    def print(self) -> bool:
        """Prints the counts; false where something differed, or nothing was there."""
        covered = self._verdicts.total()
        print(f"{self._name}: {covered} vectors, {len(self._pairs)} pairs of field and mutation")
        print("    " + ", ".join(f"{verdict} {count}" for verdict, count in sorted(self._verdicts.items())))
        for line in self._wrong:
            print(f"    WRONG {line}")
        return covered > 0 and not self._wrong


def run_folder(folder: Path, name: str, judge_one: Callable[[Vector], str]) -> bool:
    tally = Tally(f"testkit/{name}")
    for path in sorted((folder / "testkit" / name).glob("*.txt")):
        vector = Vector(path)
        pair = " ".join(vector.one(part) for part in ("scheme", "field", "mutation", "expect"))
        tally.add(path.name, pair, vector.one("expect"), judge_one(vector))
    return tally.print()


def run_array(folder: Path, name: str, judge_one: Callable[[dict[str, Any]], bool]) -> bool:
    """The older vectors: arrays of objects, whose verdict is the first words of `expect`."""
    tally = Tally(f"{name}.json")
    for vector in json.loads((folder / f"{name}.json").read_text()):
        expect: str = vector["expect"]
        expected = "succeeds" if expect.startswith(("opens", "an answer", "accepted")) else "fails"
        tally.add(expect, expect, expected, "succeeds" if judge_one(vector) else "fails")
    return tally.print()


def seal_opens(vector: dict[str, Any]) -> bool:
    headers = vector["headers"]
    header = JobHeader(
        subject=names.JobSubject.parse(names.prefix("prove.v1"), vector["subject"]),
        deployment=names.deployment(vector["deployment"]),
        key=names.key_id(headers["Sealprove-Key"]),
        expires=int(headers["Sealprove-Expires"]),
        answer=headers["Sealprove-Answer"],
        verifying_key=headers["Sealprove-Verifying-Key"],
    )
    of = scheme(vector.get("scheme", "x25519"))
    opened = open_seal(of, bytes.fromhex(vector["private_key"]), header.info(), bytes.fromhex(vector["payload"]))
    if opened is None or "witness" not in vector:
        return opened is not None
    expected = (bytes.fromhex(vector["witness"]), bytes.fromhex(vector["answer_secret"]))
    return (opened.witness, opened.answer_secret) == expected


def answer_opens(vector: dict[str, Any]) -> bool:
    secret = bytes.fromhex(vector["answer_secret"])
    keys = AnswerKeys(vector["info"].encode(), bytes.fromhex(vector["enc"]), secret)
    opened = open_answer(keys, Message(vector["headers"], bytes.fromhex(vector["payload"])))
    if isinstance(opened, Hint) or "document" not in vector:
        return not isinstance(opened, Hint)
    document: str = vector["document"]
    return opened.document == document.encode()


def bundle_accepted(vector: dict[str, Any]) -> bool:
    signed = json.dumps(vector["signed"]).encode()
    try:
        verify_bundle(signed, Identity.parse(vector["identity"]), vector["now"], vector["seen"] or 0)
    except BundleRefused:
        return False
    return True


def xwing_is_that_of_cryptography() -> bool:
    """What this client seals to X-Wing, the HPKE of `cryptography` opens, and nothing else of it."""
    seed, info = os.urandom(xwing.SEED), b"info"
    sealed = seal("xwing", xwing.public_key(seed), info, b"witness")
    theirs = other.Suite(other.KEM.MLKEM768_X25519, other.KDF.HKDF_SHA256, other.AEAD.CHACHA20_POLY1305)
    private_key = other.MLKEM768X25519PrivateKey(*xwing.expand(seed))
    there = theirs.decrypt(sealed.payload, private_key, info)
    back = open_seal("xwing", seed, info, theirs.encrypt(pad(b"back"), private_key.public_key(), info))
    held = there == pad(b"witness") and back is not None and back.witness == b"back"
    print(f"X-Wing, in both directions with that of cryptography: {'held' if held else 'WRONG'}")
    return held


def main() -> int:
    if len(sys.argv) != 2:
        sys.exit("usage: testkit.py FOLDER, which is schemas/vectors")
    folder = Path(sys.argv[1])
    held = [
        run_array(folder, "seal", seal_opens),
        run_array(folder, "answer", answer_opens),
        run_array(folder, "bundle", bundle_accepted),
        run_folder(folder, "job", judge_job),
        run_folder(folder, "answer", judge_answer),
        run_folder(folder, "bundle", judge_bundle),
        xwing_is_that_of_cryptography(),
    ]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
