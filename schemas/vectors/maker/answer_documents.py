"""Answers that open, and whose document is not one about the client's job."""

import base64

from .message import OTHER_JOB


def make(answers):
    from .answers import compact, failed, proved

    def documents(expect, mutation, change, comment="", kind=proved, **answer):
        document = change(kind())
        if isinstance(document, dict):
            document = compact(document)
        answers.modes(expect, "document", mutation, None, comment, document=document, **answer)

    def changed(**members):
        return lambda document: document | members

    def without(name):
        return lambda document: {key: value for key, value in document.items() if key != name}

    documents("hint", "of another job", changed(job=OTHER_JOB))
    documents("hint", "of another tenant", changed(tenant="mallory"))
    documents("hint", "of another circuit", changed(circuit="threshold-v2"))
    documents("hint", "job in capitals", lambda d: d | {"job": d["job"].upper()})
    for name in ("version", "job", "tenant", "circuit", "attempt", "timings_ms"):
        documents("hint", f"without {name}", without(name))
    documents("hint", "of version 2", changed(version="2"))
    documents("hint", "version a number", changed(version=1))
    for name in ("verifying_key", "proof", "public_inputs"):
        documents("hint", f"a proof without {name}", without(name))
    documents("hint", "neither a proof nor an error",
              lambda d: {key: value for key, value in failed().items() if key != "error"})  # fmt: skip
    documents("hint", "a proof and an error", lambda d: d | failed(), "Which one counts would be anybody's choice.",
              outcome="refused", code="INVALID_WITNESS")  # fmt: skip
    documents("hint", "an error without its code", lambda d: d | {"error": {"message": "no"}}, "", failed,
              outcome="refused", code="INVALID_WITNESS")  # fmt: skip
    documents("hint", "an error under OK", lambda d: failed())
    documents("hint", "a proof under an error", lambda d: d, outcome="refused", code="INVALID_WITNESS")
    documents("hint", "an error of another code", lambda d: failed("OUT_OF_MEMORY", "prove"), outcome="failed", code="TIMEOUT")
    documents("hint", "a code of no table", lambda d: failed("SOLAR_FLARE", "prove"), outcome="failed", code="TIMEOUT")
    documents("hint", "attempt as text", changed(attempt="1"))
    documents("hint", "attempt negative", changed(attempt=-1))
    documents("hint", "job a number", changed(job=7))
    documents("hint", "proof in base64url", lambda d: d | {"proof": base64.urlsafe_b64encode(b"\xfb\xff\xfe" * 99).decode()})
    documents("hint", "proof without padding", lambda d: d | {"proof": base64.b64encode(b"proof").decode().rstrip("=")})
    documents("hint", "proof in hexadecimal", lambda d: d | {"proof": "0x70726f6f6600"})
    documents("hint", "verifying key in capitals", lambda d: d | {"verifying_key": d["verifying_key"].upper()})
    documents("hint", "empty", lambda d: b"")
    documents("hint", "an array", lambda d: b"[" + compact(d) + b"]")
    documents("hint", "cut short", lambda d: compact(d)[:-1])
    documents("hint", "twice", lambda d: compact(d) * 2)
    documents("hint", "with a byte order mark", lambda d: b"\xef\xbb\xbf" + compact(d))
    documents("hint", "in UTF-16", lambda d: compact(d).decode().encode("utf-16"))
    documents("hint", "in base64", lambda d: base64.b64encode(compact(d)))
    documents("hint", "not UTF-8", lambda d: compact(d)[:-1] + b',"note":"\xff"}')
    documents("answer", "with a member more", changed(note="readers ignore what they do not know"))
    documents("answer", "with white space, lines ended by CR LF",
              lambda d: compact(d).replace(b",", b",\r\n\t") + b"\r\n")  # fmt: skip
    documents("answer", "members in another order", lambda d: dict(sorted(d.items())))
    documents("answer", "padded beyond 1 KiB", lambda d: compact(d | {"output": base64.b64encode(bytes(1500)).decode()}))
    documents("answer", "the twentieth attempt", changed(attempt=20))
