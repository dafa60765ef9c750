"""The ticket: what a client keeps of a job, to come back for its answer from another process, or tomorrow.

It can open the answer, so it is a secret: a file that only its owner reads, and that is never written over.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from .answer import AnswerKeys, Expected
from .names import circuit, digest, job, tenant
from .reading import Members, to_base64


@dataclass(frozen=True)
class Ticket:
    expected: Expected
    keys: AnswerKeys
    #: The deadline, and the moment of submission, in Unix seconds: they say what no answer means.
    expires: int
    submitted: int


def write_ticket(path: Path, ticket: Ticket) -> None:
    members = {
        "tenant": ticket.expected.tenant,
        "circuit": ticket.expected.circuit,
        "job": ticket.expected.job,
        "proofKeys": ticket.expected.proof_keys,
        "info": to_base64(ticket.keys.info),
        "enc": to_base64(ticket.keys.enc),
        "answerSecret": to_base64(ticket.keys.answer_secret),
        "expires": ticket.expires,
        "submitted": ticket.submitted,
    }
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(json.dumps(members) + "\n")


def read_ticket(path: Path) -> Ticket:
    ticket = Members.parse("ticket", path.read_bytes())
    expected = Expected(
        tenant=tenant(ticket.text("tenant")),
        circuit=circuit(ticket.text("circuit")),
        job=job(ticket.text("job")),
        proof_keys=tuple(digest(key) for key in ticket.texts("proofKeys")),
    )
    keys = AnswerKeys(ticket.base64("info"), ticket.base64("enc"), ticket.base64("answerSecret"))
    return Ticket(expected, keys, ticket.whole("expires"), ticket.whole("submitted"))
