"""Vectors about what is in the seal, length, padding and witness; and about what comes in none."""

import base64

from . import seal as s
from .message import BLINDING, WITNESS, Making


def make(jobs):
    lengths(jobs)
    paddings(jobs)
    sizes(jobs)
    witnesses(jobs)
    in_clear(jobs)


def lengths(jobs):
    def prefixed(mutation, prefix, comment="", expect="unseal-failed"):
        def plaintext(witness):
            plain = prefix(len(witness)) + witness
            return plain + bytes(s.padded_length(4 + len(witness)) - len(plain))

        jobs.both(expect, "length", mutation, None, comment, making=Making(plaintext=plaintext))

    prefixed("one less", lambda length: (length - 1).to_bytes(4, "big"), "The last byte of the witness is no padding.")
    prefixed("zero", lambda length: bytes(4))
    prefixed("a byte beyond the plaintext", lambda length: (1021).to_bytes(4, "big"))
    prefixed("one less than 2^32", lambda length: b"\xff" * 4)
    prefixed("2^31", lambda length: b"\x80\0\0\0")
    prefixed("of witness and length", lambda length: (s.padded_length(4 + length)).to_bytes(4, "big"))
    prefixed("little-endian", lambda length: length.to_bytes(4, "little"))
    prefixed("in 2 bytes", lambda length: length.to_bytes(2, "big"))
    prefixed("in 8 bytes", lambda length: length.to_bytes(8, "big"))
    prefixed("in decimal digits", lambda length: b"%04d" % length)
    prefixed("none", lambda length: b"")

    def one_more(witness):
        return (len(witness)).to_bytes(4, "big") + witness[:-1] + bytes(1024 - 4 - len(witness) + 1)

    jobs.both("invalid-witness", "length", "one more", None, "A byte of the padding is taken for the witness.",
              making=Making(plaintext=one_more), witness=WITNESS + b"\0")  # fmt: skip


def paddings(jobs):
    def padded(mutation, padding, comment="", **job):
        def plaintext(witness):
            start = len(witness).to_bytes(4, "big") + witness
            return start + padding(s.padded_length(len(start)) - len(start))

        jobs.both("unseal-failed", "padding", mutation, None, comment, making=Making(plaintext=plaintext), **job)

    padded("last byte not zero", lambda count: bytes(count - 1) + b"\1")
    padded("first byte not zero", lambda count: b"\1" + bytes(count - 1))
    padded("a byte in the middle not zero", lambda count: bytes(400) + b"\x80" + bytes(count - 401))
    padded("two bytes that cancel out", lambda count: b"\x80\x80" + bytes(count - 2),
           "Their sum and their difference are zero.")  # fmt: skip
    padded("spaces", lambda count: b" " * count)
    padded("ones", lambda count: b"\xff" * count)
    padded("PKCS #7", lambda count: bytes([count % 256]) * count)
    padded("ISO 7816-4", lambda count: b"\x80" + bytes(count - 1))
    padded("with a byte order mark", lambda count: b"\xef\xbb\xbf" + bytes(count - 3))
    padded("a byte more", lambda count: bytes(count + 1))
    padded("the next size of PADMÉ", lambda count: bytes(count + 64))
    padded("to the next power of two", lambda count: bytes(count + 960), witness=b" " * 1021, witness_bytes_max=65536)
    padded("to a multiple of 16 alone", lambda count: bytes(count - 48), witness=b" " * 1021)
    padded("none, beyond the floor", lambda count: b"", witness=b" " * 1021)
    padded("a byte less, beyond the floor", lambda count: bytes(count - 1), witness=b" " * 1021)

    # Below the floor there is no such payload: it is shorter than any.
    def floorless(witness):
        return len(witness).to_bytes(4, "big") + witness

    jobs.both("malformed-job", "padding", "none", None, "Shorter than any seal.", making=Making(plaintext=floorless))


def sizes(jobs):
    """The limit of the listed circuit is 1024 bytes, which make 1088 padded."""
    spaces = 1024 - len(WITNESS)
    jobs.both("proved", "witness", "as long as it may be", None, "1024 bytes, the last of them spaces.",
              witness=WITNESS + b" " * spaces)  # fmt: skip
    jobs.both("witness-too-large", "witness", "a byte longer than it may be", None,
              "As long, when it is padded, as one that is not too long.", opens=True,
              witness=WITNESS + b" " * (spaces + 1))  # fmt: skip
    jobs.both("witness-too-large", "witness", "the longest of its padded size", opens=True, witness=WITNESS.ljust(1084))
    jobs.both("witness-too-large", "witness", "the shortest of the next padded size", witness=WITNESS.ljust(1085))
    jobs.both("witness-too-large", "witness", "much longer than it may be", witness=WITNESS.ljust(4000))
    jobs.both("proved", "witness", "the longest of 1 KiB", None, "1020 bytes and their length.", witness=WITNESS.ljust(1020))
    jobs.both("proved", "witness", "the shortest beyond 1 KiB", None, "1021 bytes: padded to 1088.",
              witness=WITNESS.ljust(1021))  # fmt: skip
    jobs.both("invalid-witness", "witness", "empty", witness=b"")


def witnesses(jobs):
    """Witnesses of `threshold-v1`: docs/PROTOCOL.md leaves them to the circuit, whose schema says what they are."""
    def document(value='"67000"', blinding=f'"{BLINDING}"', threshold='"50000"', extra=""):
        return f'{{"value":{value},"blinding":{blinding},"threshold":{threshold}{extra}}}'.encode()

    def is_valid(mutation, witness, comment=""):
        jobs.add("proved", "witness", mutation, None, comment, witness=witness)

    def is_not(mutation, witness, comment=""):
        jobs.add("invalid-witness", "witness", mutation, None, comment, witness=witness)

    is_valid("value as small as the threshold", document(value='"50000"'))
    is_valid("the largest value and threshold", document(value=f'"{2**64 - 1}"', threshold=f'"{2**64 - 1}"'))
    is_valid("with white space, lines ended by CR LF", document().replace(b",", b",\r\n\t") + b"\r\n")
    is_valid("members in another order",
             f'{{"threshold":"50000","blinding":"{BLINDING}","value":"67000"}}'.encode())  # fmt: skip
    is_not("value below the threshold", document(value='"49999"'))
    is_not("value as a JSON number", document(value="67000"))
    is_not("value with a leading zero", document(value='"067000"'))
    is_not("value with a sign", document(value='"+67000"'))
    is_not("value negative", document(value='"-1"', threshold='"0"'))
    is_not("value 2^64", document(value=f'"{2**64}"'))
    is_not("value with a fraction", document(value='"67000.0"'))
    is_not("value with a space", document(value='" 67000"'))
    is_not("value null", document(value="null"))
    is_not("threshold empty", document(threshold='""'))
    is_not("blinding in capitals", document(blinding=f'"{("0x" + "0a" * 32).replace("a", "A")}"'))
    is_not("blinding without 0x", document(blinding=f'"{BLINDING[2:]}"'))
    is_not("blinding of 31 bytes", document(blinding=f'"{BLINDING[:-2]}"'))
    is_not("blinding of 33 bytes", document(blinding=f'"{BLINDING}07"'))
    is_not("blinding beyond the modulus", document(blinding=f'"0x{"ff" * 32}"'))
    is_not("blinding the modulus itself",
           document(blinding='"0x01000000ed302d991bf94c09fc98462200000000000000000000000000000040"'))  # fmt: skip
    is_not("a member missing", f'{{"value":"67000","blinding":"{BLINDING}"}}'.encode())
    is_not("a member more", document(extra=',"memo":"x"'))
    is_not("a member twice", document(extra=',"value":"67000"'))
    is_not("a member's name with an escape", document().replace(b'"value"', b'"\\u0076alue"'))
    is_not("a member's name with a capital", document().replace(b'"value"', b'"Value"'))
    is_not("an array", b"[" + document() + b"]")
    is_not("a string", b'"' + document().replace(b'"', b'\\"') + b'"')
    is_not("two documents", document() * 2)
    is_not("cut short", document()[:-1])
    is_not("with a comma too many", document()[:-1] + b",}")
    is_not("with a byte order mark", b"\xef\xbb\xbf" + document())
    is_not("in UTF-16", document().decode().encode("utf-16"))
    is_not("in base64", base64.b64encode(document()))
    is_not("not UTF-8", document(extra=',"\\xff":"\xff"').decode().encode("latin-1"))
    is_not("with a zero byte behind", document() + b"\0")
    is_not("of another circuit", b'{"secret":"0x' + b"07" * 32 + b'","index":0,"path":[]}')


def in_clear(jobs):
    """A witness that comes without a seal."""
    def clear(mutation, payload, change=None, comment=""):
        def unsealed(message):
            message.payload = payload
            if change:
                change(message)

        jobs.add("plaintext-rejected", "payload", mutation, unsealed, comment)

    clear("the witness itself", WITNESS)
    clear("the witness with white space around", b"\r\n " + WITNESS + b"\n")
    clear("the witness behind a byte order mark", b"\xef\xbb\xbf" + WITNESS)
    clear("the witness as an array", b"[" + WITNESS + b"]")
    clear("an array behind a byte order mark", b"\xef\xbb\xbf[" + WITNESS + b"]")
    clear("the witness as long as a seal", WITNESS.ljust(1072), comment="Spaces behind it make no ciphertext of it.")
    clear("the witness longer than it may be", WITNESS.ljust(5000), comment="What it is comes before how long it is.")
    clear("a JSON string", b'"67000"')
    clear("a JSON number", b"67000")
    clear("null", b"null")
    clear("a PCZT", b"PCZT\x01\0\0\0" + bytes(1064))
    clear("a preimage of Midnight", b"midnight:proof-preimage" + bytes(1049))
    clear("a PDF", b"%PDF-1.7\n" + bytes(1063))
    clear("a ZIP archive", b"PK\x03\x04" + bytes(1068))
    clear("an age file", b"age-encryption.org/v1\n" + bytes(1050))
    clear("a PEM file", b"-----BEGIN PRIVATE KEY-----\n" + bytes(1044))
    clear("the witness without headers", WITNESS, lambda m: m.headers.clear(), "Whatever the headers are.")
    clear("the witness under another version", WITNESS, lambda m: m.header("Sealprove-Version", "2"),
          "Before the version, since it is to be erased.")  # fmt: skip
    clear("the witness after its deadline", WITNESS, lambda m: m.header("Sealprove-Expires", "1799999999"))
    clear("the witness for a circuit that is not listed", WITNESS, lambda m: m.circuits.clear())
