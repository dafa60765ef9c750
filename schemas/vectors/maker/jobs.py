"""The vectors of `job/`: what a recipient makes of a message. Headers and subjects are here, what is about the seal
in `job_seals`, what is in it in `job_plaintexts`."""

import hashlib

from . import job_plaintexts, job_seals
from .files import Folder
from .message import EXPIRES, KEY_ID, NOW, OTHER_VERIFYING_KEY, PUBLIC, STORED_AT, VERIFYING_KEY, Job, Message

HEADERS = ["Sealprove-Version", "Sealprove-Key", "Sealprove-Expires", "Sealprove-Answer", "Sealprove-Verifying-Key"]
DAY = 86_400
SKEW = 300


class Jobs:
    """Collects the vectors. `change` gets a message that is right and makes it wrong."""

    def __init__(self):
        self.folder = Folder("job")

    def add(self, expect, field, mutation, change=None, comment="", making=None, opens=False, **job):
        scheme = job.get("scheme", "x25519")
        message = Message(f"job/{scheme}/{field}/{mutation}", Job(**job), making)
        if change:
            change(message)
        opened = opens or expect in ("proved", "invalid-witness")
        self.folder.add(expect, field, mutation, scheme, comment, message.lines(opened, made=expect == "proved"))

    def both(self, *vector, **options):
        for scheme in ("x25519", "xwing"):
            self.add(*vector, scheme=scheme, **options)


def make() -> Folder:
    jobs = Jobs()
    successes(jobs)
    every_header(jobs)
    versions(jobs)
    keys(jobs)
    deadlines(jobs)
    answers_and_pins(jobs)
    foreign_headers(jobs)
    subjects(jobs)
    circuits(jobs)
    job_seals.make(jobs)
    job_plaintexts.make(jobs)
    return jobs.folder


def successes(jobs):
    jobs.both("proved", "none", "none", comment="Everything as the protocol says; only `scheme` differs.")
    jobs.both("proved", "Sealprove-Answer", "asks for an open answer", answer="open")
    jobs.add("proved", "Sealprove-Verifying-Key", "takes any", verifying_key="any")
    jobs.add("proved", "Sealprove-Key", "the other key of the scheme", key="x25519 other")
    jobs.add("proved", "Sealprove-Key", "the other key of the scheme", scheme="xwing", key="xwing other")
    jobs.add("proved", "subject lane", "express", lane="express")
    jobs.add("proved", "subject tenant", "64 letters, digits, low lines and hyphens", tenant="Acme_1-" + "z" * 57)
    jobs.add("proved", "deployment", "with dots and capitals", deployment="Lab.eu-1_a")
    jobs.add("proved", "prefix", "of the operator's own", prefix="acme.proving_1")


def every_header(jobs):
    """What is wrong with whichever header it is done to."""
    for index, name in enumerate(HEADERS):
        is_version = index == 0

        def add(mutation, change, expect="malformed-job", comment="", name=name):
            jobs.add(expect, name, mutation, change, comment)

        def rename(new, index=index):
            return lambda m: m.headers[index].__setitem__(0, new)

        add("missing", lambda m, i=index: m.headers.pop(i))
        add("empty", lambda m, n=name: m.header(n, ""), "unsupported-version" if is_version else "malformed-job")
        add("twice, the same", lambda m, i=index: m.headers.append(list(m.headers[i])))
        add("twice, side by side", lambda m, i=index: m.headers.insert(i, list(m.headers[i])))
        add("in lower case", rename(name.lower()), comment="Header names have one spelling.")
        add("in upper case", rename(name.upper()))
        add("with an underscore", rename(name.replace("-", "_", 1)))
        add("with another name's end", rename(name + "s"))
        add("behind X-", rename("X-" + name), comment="A header of somebody else is ignored: this one is missing.")
        add("once more in lower case", lambda m, i=index: m.headers.append([m.headers[i][0].lower(), m.headers[i][1]]))
        if not is_version:
            add("with a space inside", lambda m, i=index: m.header(m.headers[i][0], inside(m.headers[i][1], " ")))
            add("with a tab inside", lambda m, i=index: m.header(m.headers[i][0], inside(m.headers[i][1], "\t")))
            add("in quotes", lambda m, i=index: m.header(m.headers[i][0], f'"{m.headers[i][1]}"'))
            add("with a comma behind", lambda m, i=index: m.header(m.headers[i][0], m.headers[i][1] + ","))
            add("with a zero-width space behind", lambda m, i=index: m.header(m.headers[i][0], m.headers[i][1] + "\u200b"))


def inside(value: str, character: str) -> str:
    return value[:3] + character + value[3:]


def versions(jobs):
    def add(mutation, value, expect="unsupported-version", comment=""):
        jobs.add(expect, "Sealprove-Version", mutation, lambda m: m.header("Sealprove-Version", value), comment)

    add("2", "2")
    add("0", "0")
    add("a leading zero", "01", comment="Not the text `1`, and so another version.")
    add("a sign", "+1")
    add("with a fraction", "1.0")
    add("with a letter", "v1")
    add("in words", "one")

    def only_version(message):
        message.headers = [["Sealprove-Version", "2"], ["Sealprove-Future", "x"], ["sealprove-key", "y"]]

    jobs.add("unsupported-version", "headers", "all of another version", only_version,
             "Nothing else about a message of another version is judged.")  # fmt: skip
    jobs.add("malformed-job", "Sealprove-Version", "2 after 1", lambda m: m.headers.append(["Sealprove-Version", "2"]))
    jobs.add("unsupported-version", "Sealprove-Version", "2 before 1",
             lambda m: m.headers.insert(0, ["Sealprove-Version", "2"]), "The first one counts.")  # fmt: skip


def keys(jobs):
    def spelled(mutation, spell, comment=""):
        jobs.both("malformed-job", "Sealprove-Key", mutation,
                  lambda m: m.header("Sealprove-Key", spell(m.job.key_id)), comment)  # fmt: skip

    spelled("in capitals", str.upper)
    spelled("31 digits", lambda key: key[:31])
    spelled("33 digits", lambda key: key + "0")
    spelled("with 0x before", lambda key: "0x" + key)
    spelled("not hexadecimal", lambda key: "g" + key[1:])
    spelled("in groups", lambda key: "-".join([key[:8], key[8:16], key[16:]]))

    for scheme in ("x25519", "xwing"):
        def named(expect, mutation, name, comment="", scheme=scheme):
            jobs.add(expect, "Sealprove-Key", mutation, lambda m: m.header("Sealprove-Key", name), comment, scheme=scheme)

        named("key-unknown", "of a key that is not held", KEY_ID[f"{scheme} unheld"])
        named("unseal-failed", "of another key that is held", KEY_ID[f"{scheme} other"])
        jobs.add("key-unknown", "key", "sealed to a key that is not held", scheme=scheme, key=f"{scheme} unheld")

        def destroyed(expect, mutation, name, scheme=scheme):
            jobs.add(expect, "destroyed", mutation, lambda m: m.destroyed.append(KEY_ID[name]), scheme=scheme,
                     key=f"{scheme} unheld")  # fmt: skip

        destroyed("key-retired", "the key that it is sealed to", f"{scheme} unheld")
        destroyed("key-unknown", "a key of the other scheme", f"{other(scheme).decode()} unheld")

    def miscomputed(mutation, key_id, comment=""):
        for scheme in ("x25519", "xwing"):
            jobs.add("key-unknown", "key id", mutation, None, comment, scheme=scheme, key_id=key_id(scheme))

    miscomputed("under the other scheme's name",
                lambda scheme: digest(b"sealprove/1 key\n", other(scheme), b"\n", scheme))  # fmt: skip
    miscomputed("without its label", lambda scheme: digest(b"", scheme.encode(), b"\n", scheme))
    miscomputed("of the key alone", lambda scheme: digest(b"", b"", b"", scheme))
    miscomputed("without the second line's end", lambda scheme: digest(b"sealprove/1 key\n", scheme.encode(), b"", scheme))
    miscomputed("with the scheme in capitals",
                lambda scheme: digest(b"sealprove/1 key\n", scheme.upper().encode(), b"\n", scheme))  # fmt: skip
    miscomputed("the last 16 bytes of the hash",
                lambda scheme: digest(b"sealprove/1 key\n", scheme.encode(), b"\n", scheme, last=True))  # fmt: skip


def other(scheme: str) -> bytes:
    return b"xwing" if scheme == "x25519" else b"x25519"


def digest(label: bytes, name: bytes, end: bytes, scheme: str, last: bool = False) -> str:
    hashed = hashlib.sha256(label + name + end + PUBLIC[scheme]).hexdigest()
    return hashed[32:] if last else hashed[:32]


def deadlines(jobs):
    def spelled(mutation, value, comment=""):
        jobs.add("malformed-job", "Sealprove-Expires", mutation, lambda m: m.header("Sealprove-Expires", value), comment)

    seconds = str(EXPIRES)
    spelled("a leading zero", "0" + seconds)
    spelled("a plus sign", "+" + seconds)
    spelled("a minus sign", "-" + seconds)
    spelled("with a fraction", seconds + ".0")
    spelled("with an exponent", "1.8e9")
    spelled("in hexadecimal", hex(EXPIRES))
    spelled("with groups of thousands", f"{EXPIRES:,}")
    spelled("with low lines", f"{EXPIRES:_}")
    spelled("with a unit", seconds + "s")
    spelled("as a date", "2027-01-15T09:00:00Z")
    spelled("in digits that are not ASCII", "".join(chr(0x0660 + int(digit)) for digit in seconds))
    spelled("2^64", str(2**64), "No number of 64 bits.")
    spelled("many nines", "9" * 40)

    def deadline(expect, mutation, expires, comment=""):
        jobs.add(expect, "Sealprove-Expires", mutation, None, comment, expires=str(expires))

    furthest = STORED_AT + DAY + SKEW
    deadline("proved", "as far off as it may be", furthest)
    deadline("malformed-job", "a second further off than it may be", furthest + 1)
    deadline("malformed-job", "in milliseconds", EXPIRES * 1000)
    deadline("malformed-job", "one less than 2^64", 2**64 - 1)
    deadline("proved", "a second from now", NOW + 1)
    deadline("expired", "now", NOW)
    deadline("expired", "a second ago", NOW - 1)
    deadline("expired", "before it was stored", STORED_AT - 1)
    deadline("expired", "zero", 0, "A well-formed number, long past.")
    jobs.both("unseal-failed", "Sealprove-Expires", "a second later than sealed",
              lambda m: m.header("Sealprove-Expires", str(EXPIRES + 1)), "A captured job does not live longer.")  # fmt: skip


def answers_and_pins(jobs):
    def mode(mutation, value):
        jobs.add("malformed-job", "Sealprove-Answer", mutation, lambda m: m.header("Sealprove-Answer", value))

    mode("with a capital", "Sealed")
    mode("in capitals", "SEALED")
    mode("another word", "clear")
    mode("both modes", "sealed,open")
    mode("cut short", "seal")
    mode("a number", "1")

    jobs.both("unseal-failed", "Sealprove-Answer", "open, and sealed for sealed",
              lambda m: m.header("Sealprove-Answer", "open"), "Nobody on the way can have the answer in clear.")  # fmt: skip
    jobs.add("unseal-failed", "Sealprove-Answer", "sealed, and sealed for open",
             lambda m: m.header("Sealprove-Answer", "sealed"), answer="open")  # fmt: skip

    def pin(mutation, value, expect="malformed-job"):
        jobs.add(expect, "Sealprove-Verifying-Key", mutation, lambda m: m.header("Sealprove-Verifying-Key", value))

    digits = VERIFYING_KEY.removeprefix("sha256:")
    pin("digits in capitals", "sha256:" + digits.upper())
    pin("the whole in capitals", VERIFYING_KEY.upper())
    pin("63 digits", VERIFYING_KEY[:-1])
    pin("65 digits", VERIFYING_KEY + "0")
    pin("without sha256:", digits)
    pin("with sha-256:", "sha-256:" + digits)
    pin("with sha512:", "sha512:" + digits)
    pin("in base64", "sha256:RY0vS0MKOgMmXvdTVAT2lXIEeGzEHMurAxcj1HphLC0=")
    pin("ANY", "ANY")
    pin("a star", "*")
    pin("none", "none")
    pin("two digests", f"{VERIFYING_KEY} {OTHER_VERIFYING_KEY}")
    jobs.add("verifying-key-mismatch", "Sealprove-Verifying-Key", "another, and sealed for it", None,
             verifying_key=OTHER_VERIFYING_KEY)  # fmt: skip
    pin("another than was sealed for", OTHER_VERIFYING_KEY, "verifying-key-mismatch")
    jobs.both("unseal-failed", "Sealprove-Verifying-Key", "any, and sealed for one",
              lambda m: m.header("Sealprove-Verifying-Key", "any"))  # fmt: skip
    jobs.add("unseal-failed", "Sealprove-Verifying-Key", "one, and sealed for any",
             lambda m: m.header("Sealprove-Verifying-Key", VERIFYING_KEY), verifying_key="any")  # fmt: skip


def foreign_headers(jobs):
    def extra(expect, mutation, *headers, comment=""):
        jobs.add(expect, "headers", mutation, lambda m: m.headers.extend(list(pair) for pair in headers), comment)

    extra("proved", "with a traceparent",
          ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"))  # fmt: skip
    extra("proved", "with headers of others", ("Content-Type", "text/plain"), ("Sealprove", "x"), ("Nats-Foo", ""),
          ("X-Sealprove-Key", "y"), ("a", "1"), ("a", "2"))  # fmt: skip
    jobs.add("proved", "headers", "in reverse order", lambda m: m.headers.reverse())
    extra("malformed-job", "with a sixth of ours", ("Sealprove-Priority", "1"))
    extra("malformed-job", "with a sixth of ours in lower case", ("sealprove-priority", "1"))
    extra("malformed-job", "with a sixth of ours in capitals", ("SEALPROVE-PRIORITY", "1"))
    extra("malformed-job", "with the bare prefix", ("Sealprove-", "1"))
    extra("malformed-job", "with a header of answers", ("Sealprove-Code", "OK"))
    jobs.add("malformed-job", "headers", "none", lambda m: m.headers.clear())
    jobs.add("malformed-job", "headers", "two values exchanged", exchange_values, "Key id and digest have traded places.")


def exchange_values(message):
    key, pin = message.headers[1], message.headers[4]
    key[1], pin[1] = pin[1], key[1]


def subjects(jobs):
    def token(expect, name, position, mutation, value, comment=""):
        def change(message):
            tokens = message.subject.split(".")
            tokens[position] = value
            message.subject = ".".join(tokens)

        jobs.add(expect, f"subject {name}", mutation, change, comment)

    def whole(mutation, change, comment=""):
        jobs.add("not-a-job", "subject", mutation, lambda m: setattr(m, "subject", change(m.subject)), comment)

    token("not-a-job", "tenant", 3, "empty", "")
    token("not-a-job", "tenant", 3, "65 characters", "t" * 65)
    token("not-a-job", "tenant", 3, "with a space", "de fault")
    token("not-a-job", "tenant", 3, "not ASCII", "défault")
    token("not-a-job", "tenant", 3, "a wildcard", "*")
    token("not-a-job", "tenant", 3, "with a colon", "default:1")
    token("not-a-job", "lane", 4, "another word", "fast")
    token("not-a-job", "lane", 4, "with a capital", "Standard")
    token("not-a-job", "lane", 4, "empty", "")
    token("not-a-job", "lane", 4, "in capitals", "STANDARD")
    token("not-a-job", "circuit", 5, "with a capital", "Threshold-v1")
    token("not-a-job", "circuit", 5, "with a low line", "threshold_v1")
    token("not-a-job", "circuit", 5, "65 characters", "c" * 65)
    token("not-a-job", "circuit", 5, "empty", "")
    token("not-a-job", "job", 6, "in capitals", "00112233445566778899AABBCCDDEEFF")
    token("not-a-job", "job", 6, "31 digits", "0112233445566778899aabbccddeeff")
    token("not-a-job", "job", 6, "33 digits", "000112233445566778899aabbccddeeff")
    token("not-a-job", "job", 6, "not hexadecimal", "0011223344556677889 aabbccddeeff"[:32].replace(" ", "g"))
    token("not-a-job", "job", 6, "with hyphens", "00112233-4455-6677-8899-aabbccddeeff")
    token("not-a-job", "job", 6, "empty", "")
    token("not-a-job", "prefix", 1, "another version", "v2")
    token("not-a-job", "prefix", 0, "in capitals", "PROVE")
    token("not-a-job", "kind", 2, "another", "answer")
    whole("a token too few", lambda subject: subject.rsplit(".", 1)[0])
    whole("a token too many", lambda subject: subject + ".1")
    whole("a dot behind", lambda subject: subject + ".")
    whole("without its prefix", lambda subject: subject.removeprefix("prove.v1."))
    whole("tenant and lane exchanged", lambda subject: subject.replace("default.standard", "standard.default"))
    whole("circuit and job exchanged", lambda subject: ".".join(subject.split(".")[:5] + subject.split(".")[:4:-1]))
    whole("with a space behind", lambda subject: subject + " ")
    whole("with slashes", lambda subject: subject.replace(".", "/"))


def circuits(jobs):
    """A circuit that is not listed, and one that is listed with another limit."""
    def unlisted(message):
        message.circuits = [("membership-v1", OTHER_VERIFYING_KEY, 65536)]

    jobs.add("circuit-not-found", "circuit", "not listed", unlisted)
    jobs.add("circuit-not-found", "circuit", "none listed", lambda m: m.circuits.clear())
    jobs.add("circuit-not-found", "subject circuit", "of a version that is not listed", circuit="threshold-v2")
    jobs.add("circuit-not-found", "subject circuit", "64 characters, not listed", circuit="c" * 64)

    def relisted(message):
        message.circuits = [("threshold-v1", OTHER_VERIFYING_KEY, 1024)]

    jobs.add("verifying-key-mismatch", "circuit", "listed with another verifying key", relisted)
    jobs.add("proved", "circuit", "listed behind another",
             lambda m: m.circuits.insert(0, ("membership-v1", OTHER_VERIFYING_KEY, 65536)))  # fmt: skip
