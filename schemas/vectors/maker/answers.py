"""The vectors of `answer/`: what a client makes of what lies on its answer's subject."""

import base64
import json

from . import answer_documents
from . import seal as s
from .files import Folder, b64
from .message import JOB, OTHER_JOB, VERIFYING_KEY, Job, Message, randomness

HEADERS = ["Sealprove-Version", "Sealprove-Outcome", "Sealprove-Code", "Sealprove-Answer", "Content-Type"]
JSON = "application/json"
STEPS = {"queued": 12, "opened": 1, "checked": 1, "proved": 840, "verified": 9}


def proved() -> dict:
    """The document of an answer with a proof; the proof is not one."""
    proof, inputs = randomness("proof", 333), randomness("public inputs", 64)
    return {"version": "1", "job": JOB, "tenant": "default", "circuit": "threshold-v1", "verifying_key": VERIFYING_KEY,
            "proof": b64(proof), "public_inputs": b64(inputs), "attempt": 1, "timings_ms": STEPS}  # fmt: skip


def failed(code: str = "INVALID_WITNESS", step: str = "check", retryable: bool = False) -> dict:
    """The document of an answer without a proof."""
    error = {"code": code, "step": step, "message": "value: below the threshold", "retryable": retryable}
    return {"version": "1", "job": JOB, "tenant": "default", "circuit": "threshold-v1", "attempt": 1,
            "timings_ms": {"queued": 12, "opened": 1}, "error": error}  # fmt: skip


def compact(document: dict) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


class Answer:
    """An answer that is right, step by step. `made` is what its maker takes, `self.…` what is published and kept."""

    def __init__(self, seed, scheme="x25519", mode="sealed", outcome="proved", code="OK", content_type=JSON,
                 document=None, asked=None, **made):  # fmt: skip
        job = Job(scheme=scheme, answer=asked or mode)
        kept = Message(f"job of answer/{scheme}/{job.answer}", job)
        self.asked, self.info, self.enc, self.secret = job.answer, kept.info, kept.enc, kept.answer_secret
        self.tenant, self.circuit, self.job = job.tenant, job.circuit, job.job
        self.other = Message(f"another job of answer/{scheme}", Job(scheme=scheme, job=OTHER_JOB, answer=job.answer))

        self.document = compact(proved()) if document is None else document
        self.nonce = made.get("nonce") or randomness(seed, 32)
        self.bound_info = made.get("info", lambda info: info)(self.info)
        tail = f"answer\n{outcome}\n{code}\n{content_type}\n".encode()
        self.aad = made.get("aad", lambda aad: aad)(self.bound_info + tail)
        salt = made.get("salt", lambda enc, nonce: enc + nonce)(self.enc, self.nonce)
        secret = made["secret"](kept) if "secret" in made else self.secret
        self.keys = s.AnswerKeys(salt, secret, *made.get("labels", ()))
        self.plaintext = made.get("plaintext", s.pad)(self.document)

        self.headers = [["Sealprove-Version", "1"], ["Sealprove-Outcome", outcome], ["Sealprove-Code", code],
                        ["Sealprove-Answer", mode], ["Content-Type", content_type]]  # fmt: skip
        if mode == "sealed":
            self.ciphertext = self.keys.encrypt(self.plaintext, self.aad)
            self.payload = self.nonce + self.ciphertext
        else:
            self.payload = self.document
            self.tag = self.keys.encrypt(made.get("tagged", b""), self.aad + self.document)
            self.headers.append(["Sealprove-Tag", b64(self.nonce + self.tag)])

    def header(self, name: str, value: str):
        for pair in self.headers:
            if pair[0] == name:
                pair[1] = value

    def without(self, name: str):
        self.headers = [pair for pair in self.headers if pair[0] != name]

    def lines(self, is_answer: bool) -> list[tuple[str, str]]:
        lines = [("asked", self.asked), ("tenant", self.tenant), ("circuit", self.circuit), ("job", self.job)]
        lines += [("info", b64(self.info)), ("enc", b64(self.enc)), ("answer-secret", self.secret.hex())]
        lines += [("header", f"{name}: {value}") for name, value in self.headers]
        lines += [("payload", b64(self.payload))]
        if is_answer:
            lines += [("document", b64(self.document)), ("nonce", self.nonce.hex()), ("prk", self.keys.prk.hex())]
            lines += [("answer-key", self.keys.key.hex()), ("iv", self.keys.iv.hex())]
        return lines


class Answers:
    """Collects the vectors."""

    def __init__(self):
        self.folder = Folder("answer")

    def add(self, expect, field, mutation, change=None, comment="", **answer):
        scheme = answer.get("scheme", "x25519")
        made = Answer(f"answer/{scheme}/{field}/{mutation}", **answer)
        if change:
            change(made)
        self.folder.add(expect, field, mutation, scheme, comment, made.lines(expect == "answer"))

    def modes(self, expect, field, mutation, *rest, **answer):
        """Of a sealed and of an open answer; the field says which."""
        for mode in ("sealed", "open"):
            self.add(expect, f"{mode} {field}", mutation, *rest, mode=mode, **answer)


def make() -> Folder:
    answers = Answers()
    successes(answers)
    every_header(answers)
    outcomes(answers)
    bindings(answers)
    keys(answers)
    sealed_payloads(answers)
    tags(answers)
    exchanged(answers)
    answer_documents.make(answers)
    return answers.folder


def successes(answers):
    for scheme in ("x25519", "xwing"):
        answers.add("answer", "none", "sealed, with a proof", scheme=scheme)
        answers.add("answer", "none", "open, with a proof", scheme=scheme, mode="open")
    error = {"outcome": "refused", "code": "INVALID_WITNESS", "document": compact(failed())}
    answers.modes("answer", "answer", "with an error", **error)
    late = {"outcome": "expired", "code": "EXPIRED", "document": compact(failed("EXPIRED", "schedule"))}
    answers.add("answer", "none", "sealed, expired", **late)

    foreign = [["Nats-Stream", "PROVE_ANSWERS_default"], ["Nats-Sequence", "7"], ["Sealprove-Future", "x"]]
    answers.modes("answer", "headers", "with others", lambda a: a.headers.extend(foreign))
    answers.modes("answer", "headers", "in reverse order", lambda a: a.headers.reverse())
    answers.modes("answer", "Content-Type", "another, and made for it", content_type="application/json;charset=utf-8")


def every_header(answers):
    for index, name in enumerate(HEADERS):
        def add(mutation, change, name=name):
            answers.modes("hint", name, mutation, change)

        add("missing", lambda a, n=name: a.without(n))
        add("empty", lambda a, n=name: a.header(n, ""))
        add("in lower case", lambda a, i=index: a.headers[i].__setitem__(0, a.headers[i][0].lower()))
        add("value in capitals", lambda a, i=index: a.headers[i].__setitem__(1, capitals(a.headers[i][1])))
        add("value with a space inside", lambda a, i=index: a.headers[i].__setitem__(1, spaced(a.headers[i][1])))
        add("value cut short", lambda a, i=index: a.headers[i].__setitem__(1, a.headers[i][1][:-1]))
    for version in ("2", "01", "+1", "1.0"):
        answers.add("hint", "sealed Sealprove-Version", version, lambda a, v=version: a.header("Sealprove-Version", v))
    for mode in ("clear", "Sealed", "sealed,open"):
        answers.add("hint", "sealed Sealprove-Answer", f"the word {mode}",
                    lambda a, m=mode: a.header("Sealprove-Answer", m))  # fmt: skip

    def typed(mutation, value):
        answers.modes("hint", "Content-Type", mutation, lambda a: a.header("Content-Type", value))

    typed("another", "application/octet-stream")
    typed("with a parameter", JSON + ";charset=utf-8")
    made = {"content_type": "application/json;x=" + "a" * 240}
    answers.modes("hint", "Content-Type", "257 bytes, and made for it", lambda a: None, "Longer than any header of ours.",
                  content_type=made["content_type"][:257].ljust(257, "a"))  # fmt: skip
    answers.modes("answer", "Content-Type", "256 bytes, and made for it",
                  content_type=made["content_type"][:256].ljust(256, "a"))  # fmt: skip
    answers.modes("hint", "Content-Type", "not ASCII, and made for it", content_type="application/jsoñ")
    answers.modes("hint", "Content-Type", "with a tab, and made for it", content_type="application/json;\tx=y")


def capitals(value: str) -> str:
    return value.upper() if value.upper() != value else value.lower() if value.lower() != value else value + "A"


def spaced(value: str) -> str:
    return value[:1] + " " + value[1:] + ("1" if len(value) == 1 else "")


def outcomes(answers):
    def says(mutation, outcome, code, comment=""):
        def change(answer):
            answer.header("Sealprove-Outcome", outcome)
            answer.header("Sealprove-Code", code)

        answers.modes("hint", "outcome and code", mutation, change, comment)

    says("another outcome", "failed", "OK", "A code belongs to one outcome.")
    says("another code", "proved", "TIMEOUT", "A code belongs to one outcome.")
    says("another pair", "failed", "TIMEOUT", "A pair of the table, but not the one that the answer is made for.")
    says("another pair of a client's own mistake", "refused", "INVALID_WITNESS")
    says("another pair of the queue", "expired", "EXPIRED")
    says("exchanged", "OK", "proved")
    says("a code of no table", "failed", "SOLAR_FLARE")
    says("an outcome of no table", "maybe", "OK")

    error = {"outcome": "refused", "code": "INVALID_WITNESS", "document": compact(failed())}
    answers.modes("hint", "outcome and code", "a refusal called a proof",
                  lambda a: (a.header("Sealprove-Outcome", "proved"), a.header("Sealprove-Code", "OK")), **error)  # fmt: skip
    answers.modes("hint", "outcome and code", "another code of the same outcome",
                  lambda a: a.header("Sealprove-Code", "UNSEAL_FAILED"), **error)  # fmt: skip
    mixed = {"outcome": "failed", "code": "OK"}
    answers.modes("hint", "outcome and code", "of two rows, and made for them", **mixed)
    unknown = {"outcome": "failed", "code": "SOLAR_FLARE"}
    answers.modes("hint", "outcome and code", "of no table, and made for it", **unknown)


INFO_LINES = ["label", "deployment", "tenant", "lane", "circuit", "job", "key", "deadline", "answer mode", "verifying key"]


def bindings(answers):
    """The ten lines and the three values that the associated data has."""
    for number, name in enumerate(INFO_LINES, 1):
        def of_another(info, number=number):
            lines = info.split(b"\n")
            lines[number - 1] = lines[number - 1][:-1] + (b"0" if lines[number - 1][-1:] != b"0" else b"1")
            return b"\n".join(lines)

        answers.modes("hint", f"info line {number}, {name}", "made for another", info=of_another)

    def bound(mutation, aad, comment=""):
        answers.modes("hint", "associated data", mutation, None, comment, aad=aad)

    bound("empty", lambda aad: b"")
    bound("info alone", lambda aad: aad[: aad.index(b"answer\n")])
    bound("without info", lambda aad: aad[aad.index(b"answer\n") :])
    bound("without the word answer", lambda aad: aad.replace(b"answer\n", b"", 1))
    bound("without the last line's end", lambda aad: aad[:-1])
    bound("without the content type", lambda aad: aad.removesuffix(b"application/json\n"))
    bound("outcome and code exchanged", lambda aad: aad.replace(b"proved\nOK\n", b"OK\nproved\n"))
    bound("lines ended by CR LF", lambda aad: aad.replace(b"\n", b"\r\n"))
    bound("info behind the rest", lambda aad: aad[aad.index(b"answer\n") :] + aad[: aad.index(b"answer\n")])


def keys(answers):
    """The salt, the secret and the labels."""
    def derived(mutation, comment="", schemes=("x25519", "xwing"), **made):
        for scheme in schemes:
            answers.modes("hint", "keys", mutation, None, comment, scheme=scheme, **made)

    derived("salt without enc", salt=lambda enc, nonce: nonce)
    derived("salt without the nonce", salt=lambda enc, nonce: enc)
    derived("salt of nonce and enc", salt=lambda enc, nonce: nonce + enc)
    derived("salt empty", salt=lambda enc, nonce: b"")
    only = ("xwing",)
    derived("salt with the first 32 bytes of enc", "All 1120 bytes belong to it.", only, salt=lambda e, n: e[:32] + n)
    derived("salt with the X25519 part of enc", "", only, salt=lambda enc, nonce: enc[s.CT_M_BYTES :] + nonce)
    derived("salt with the ML-KEM part of enc", "", only, salt=lambda enc, nonce: enc[: s.CT_M_BYTES] + nonce)
    one = ("x25519",)
    derived("under the secret of another label", "", one, secret=lambda job: job.context.export(b"sealprove/1 job"))
    derived("under the secret of Oblivious HTTP", "", one, secret=lambda job: job.context.export(b"message/bhttp response"))
    derived("under the exporter secret", "", one, secret=lambda job: job.context.exporter_secret)
    derived("under the shared secret", "", one, secret=lambda job: job.shared_secret)
    derived("under a secret of zeros", "What somebody can make who has no key.", one, secret=lambda job: bytes(32))
    derived("labels exchanged", "", one, labels=(b"nonce", b"key"))
    derived("labels in capitals", "", one, labels=(b"KEY", b"NONCE"))
    derived("labels of sealprove", "", one, labels=(b"sealprove/1 key", b"sealprove/1 nonce"))


def flip(data: bytes, index: int, bit: int = 1) -> bytes:
    changed = bytearray(data)
    changed[index] ^= bit
    return bytes(changed)


def sealed_payloads(answers):
    def is_now(field, mutation, payload, comment="", **answer):
        answers.add("hint", f"sealed {field}", mutation, lambda a: setattr(a, "payload", payload(a)), comment, **answer)

    is_now("nonce", "first bit changed", lambda a: flip(a.payload, 0))
    is_now("nonce", "last bit changed", lambda a: flip(a.payload, 31, 0x80))
    is_now("nonce", "zeros", lambda a: bytes(32) + a.ciphertext)
    is_now("nonce", "behind the ciphertext", lambda a: a.ciphertext + a.nonce)
    is_now("nonce", "none", lambda a: a.ciphertext)
    is_now("nonce", "12 bytes", lambda a: a.nonce[:12] + a.ciphertext)
    is_now("nonce", "twice", lambda a: a.nonce + a.payload)
    is_now("ciphertext", "first bit changed", lambda a: flip(a.payload, 32))
    is_now("ciphertext", "a bit in the middle changed", lambda a: flip(a.payload, 500))
    is_now("ciphertext", "last bit changed", lambda a: flip(a.payload, -17, 0x80))
    is_now("ciphertext", "a block short", lambda a: a.payload[:-80] + a.payload[-16:])
    is_now("ciphertext", "two blocks exchanged",
           lambda a: a.payload[:32] + a.payload[96:160] + a.payload[32:96] + a.payload[160:])  # fmt: skip
    is_now("tag", "first bit changed", lambda a: flip(a.payload, -16))
    is_now("tag", "last bit changed", lambda a: flip(a.payload, -1, 0x80))
    is_now("tag", "zeros", lambda a: a.payload[:-16] + bytes(16))
    is_now("tag", "none", lambda a: a.payload[:-16])
    is_now("tag", "15 bytes", lambda a: a.payload[:-1])
    is_now("tag", "before the ciphertext", lambda a: a.nonce + a.ciphertext[-16:] + a.ciphertext[:-16])
    is_now("payload", "empty", lambda a: b"")
    is_now("payload", "one byte", lambda a: a.payload[:1])
    is_now("payload", "47 bytes", lambda a: a.payload[:47], "A byte less than a nonce and a tag.")
    is_now("payload", "nonce and tag alone", lambda a: a.nonce + a.ciphertext[-16:])
    is_now("payload", "half", lambda a: a.payload[: len(a.payload) // 2])
    is_now("payload", "a byte more at the end", lambda a: a.payload + b"\0")
    is_now("payload", "a byte more at the start", lambda a: b"\0" + a.payload)
    is_now("payload", "a line's end behind", lambda a: a.payload + b"\n")
    is_now("payload", "in base64", lambda a: base64.b64encode(a.payload))
    is_now("payload", "in hexadecimal", lambda a: a.payload.hex().encode())
    is_now("payload", "Latin-1 taken to UTF-8", lambda a: a.payload.decode("latin-1").encode())
    is_now("payload", "behind enc", lambda a: a.enc + a.payload)
    is_now("payload", "the document in clear", lambda a: a.document)

    def padded(mutation, plaintext, comment="", **answer):
        answers.add("hint", "sealed padding", mutation, None, comment, plaintext=plaintext, **answer)

    def length(document, prefix):
        return (prefix + document).ljust(s.padded_length(4 + len(document)), b"\0")

    short = {"outcome": "refused", "code": "INVALID_WITNESS", "document": compact(failed())}
    padded("last byte not zero", lambda d: s.pad(d)[:-1] + b"\1", **short)
    padded("spaces", lambda d: s.pad(d)[: 4 + len(d)].ljust(1024), **short)
    padded("none", lambda d: len(d).to_bytes(4, "big") + d, **short)
    padded("a byte more", lambda d: s.pad(d) + b"\0", **short)
    padded("the next size of PADMÉ", lambda d: s.pad(d) + bytes(64), **short)
    padded("length one less", lambda d: length(d, (len(d) - 1).to_bytes(4, "big")), **short)
    padded("length beyond the plaintext", lambda d: length(d, (1021).to_bytes(4, "big")), **short)
    padded("length zero", lambda d: length(d, bytes(4)), **short)
    padded("length little-endian", lambda d: length(d, len(d).to_bytes(4, "little")), **short)
    padded("no length", lambda d: d.ljust(1024, b"\0"), **short)
    padded("three bytes, no room for a length", lambda d: b"\0\0\0", **short)


def tags(answers):
    """`Sealprove-Tag` of an open answer."""
    def is_now(mutation, tag, comment=""):
        answers.add("hint", "Sealprove-Tag", mutation, lambda a: a.header("Sealprove-Tag", tag(a)), comment, mode="open")

    def raw(answer):
        return answer.nonce + answer.tag

    answers.add("hint", "Sealprove-Tag", "missing", lambda a: a.without("Sealprove-Tag"),
                "As an answer of the network side.", mode="open")  # fmt: skip
    answers.add("hint", "Sealprove-Tag", "in lower case", lambda a: a.headers[5].__setitem__(0, "sealprove-tag"), mode="open")
    is_now("empty", lambda a: "")
    is_now("first bit of the nonce changed", lambda a: b64(flip(raw(a), 0)))
    is_now("last bit changed", lambda a: b64(flip(raw(a), -1, 0x80)))
    is_now("first bit of the tag changed", lambda a: b64(flip(raw(a), 32)))
    is_now("zeros", lambda a: b64(bytes(48)))
    is_now("47 bytes", lambda a: b64(raw(a)[:-1]))
    is_now("49 bytes", lambda a: b64(raw(a) + b"\0"))
    is_now("45 bytes", lambda a: b64(raw(a)[:-3]))
    is_now("the tag without its nonce", lambda a: b64(a.tag))
    is_now("the nonce without its tag", lambda a: b64(a.nonce))
    is_now("tag before nonce", lambda a: b64(a.tag + a.nonce))
    is_now("in hexadecimal", lambda a: raw(a).hex())
    is_now("with a space inside", lambda a: spaced(b64(raw(a))))
    is_now("with a line's padding", lambda a: b64(raw(a)) + "=")
    is_now("in quotes", lambda a: f'"{b64(raw(a))}"')
    nonce = b"\xfb\xff" * 16
    answers.add("hint", "Sealprove-Tag", "in base64url",
                lambda a: a.header("Sealprove-Tag", base64.urlsafe_b64encode(raw(a)).decode()), mode="open", nonce=nonce)  # fmt: skip
    answers.add("answer", "Sealprove-Tag", "with every digit of base64", mode="open", nonce=nonce)
    answers.add("hint", "Sealprove-Tag", "over the document as plaintext", mode="open", tagged=compact(proved()))

    def document(mutation, change, comment=""):
        answers.add("hint", "open payload", mutation, lambda a: setattr(a, "payload", change(a.payload)), comment, mode="open")

    document("a bit changed", lambda payload: flip(payload, 40))
    document("a line's end behind", lambda payload: payload + b"\n")
    document("a byte order mark before", lambda payload: b"\xef\xbb\xbf" + payload)
    document("cut short", lambda payload: payload[:-1])
    document("empty", lambda payload: b"")
    document("serialised again with spaces", lambda payload: json.dumps(json.loads(payload)).encode(),
             "The tag is over bytes.")  # fmt: skip
    document("serialised again in another order",
             lambda payload: json.dumps(json.loads(payload), separators=(",", ":"), sort_keys=True).encode())  # fmt: skip
    document("in base64", base64.b64encode)
    document("padded", s.pad)


def exchanged(answers):
    """Answers of another job or of the other mode."""
    def other_keys(answer):
        return s.AnswerKeys(answer.other.enc + answer.nonce, answer.other.answer_secret)

    def of_another_job(answer):
        tail = b"answer\nproved\nOK\napplication/json\n"
        answer.payload = answer.nonce + other_keys(answer).encrypt(answer.plaintext, answer.other.info + tail)

    def tag_of_another_job(answer):
        tail = b"answer\nproved\nOK\napplication/json\n"
        tag = other_keys(answer).encrypt(b"", answer.other.info + tail + answer.document)
        answer.header("Sealprove-Tag", b64(answer.nonce + tag))

    for scheme in ("x25519", "xwing"):
        answers.add("hint", "sealed payload", "of another job, with the same nonce", of_another_job, scheme=scheme)
        answers.add("hint", "Sealprove-Tag", "of another job, with the same nonce", tag_of_another_job, scheme=scheme, mode="open")
        answers.add("hint", "enc", "of another job", lambda a: setattr(a, "enc", a.other.enc), scheme=scheme)
        answers.add("hint", "answer secret", "of another job", lambda a: setattr(a, "secret", a.other.answer_secret), scheme=scheme)
        answers.add("hint", "ticket's info", "of another job", lambda a: setattr(a, "info", a.other.info), scheme=scheme)
    answers.add("hint", "mode", "a sealed answer called open", lambda a: a.header("Sealprove-Answer", "open"))
    answers.add("hint", "mode", "an open answer called sealed", lambda a: a.header("Sealprove-Answer", "sealed"), mode="open")
    answers.add("hint", "mode", "an open answer with a good tag, where sealed was asked for", None,
                "From the right process, and yet everybody has read it.", mode="open", asked="sealed")  # fmt: skip
    answers.add("hint", "mode", "a sealed answer that opens, where open was asked for", mode="sealed", asked="open")

    def sealed_in_the_open(answer):
        answer.payload = answer.nonce + answer.keys.encrypt(s.pad(answer.document), answer.aad)

    answers.add("hint", "mode", "a sealed payload with the tag of its document", sealed_in_the_open, mode="open")
    codes = [("refused", "KEY_UNKNOWN"), ("refused", "UNSEAL_FAILED"), ("failed", "TIMEOUT"), ("failed", "OUT_OF_MEMORY"),
             ("expired", "EXPIRED"), ("cancelled", "CANCELLED"), ("failed", "ATTEMPTS_EXHAUSTED"), ("proved", "OK")]  # fmt: skip
    for outcome, code in codes:
        answers.add("hint", "open answer of the network side", code, lambda a: a.without("Sealprove-Tag"), mode="open",
                    outcome=outcome, code=code, document=compact(failed(code, "schedule")), asked="sealed")  # fmt: skip
