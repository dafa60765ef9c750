"""Names and subjects. A name is checked once, here; after that it can stand in a subject and in the seal."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import Literal, NewType

Tenant = NewType("Tenant", str)
Circuit = NewType("Circuit", str)
Job = NewType("Job", str)
Deployment = NewType("Deployment", str)
KeyId = NewType("KeyId", str)
Digest = NewType("Digest", str)
Prefix = NewType("Prefix", str)
Lane = Literal["express", "standard"]
AnswerMode = Literal["sealed", "open"]

TENANT = r"[A-Za-z0-9_-]{1,64}"
CIRCUIT = r"[a-z0-9-]{1,64}"
JOB = r"[0-9a-f]{32}"
DEPLOYMENT = r"[A-Za-z0-9_.-]{1,64}"
KEY_ID = r"[0-9a-f]{32}"
DIGEST = r"sha256:[0-9a-f]{64}"
PREFIX = r"(?=.{1,64}\Z)[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*"


def _named(what: str, shape: str, text: str) -> str:
    if re.fullmatch(shape, text) is None:
        raise ValueError(f"not a {what}: {text[:80]!r}")
    return text


def tenant(text: str) -> Tenant:
    return Tenant(_named("tenant", TENANT, text))


def circuit(text: str) -> Circuit:
    return Circuit(_named("circuit", CIRCUIT, text))


def job(text: str) -> Job:
    return Job(_named("job id", JOB, text))


def deployment(text: str) -> Deployment:
    return Deployment(_named("deployment", DEPLOYMENT, text))


def key_id(text: str) -> KeyId:
    return KeyId(_named("key id", KEY_ID, text))


def digest(text: str) -> Digest:
    return Digest(_named("verifying key's digest", DIGEST, text))


def prefix(text: str) -> Prefix:
    return Prefix(_named("subject prefix", PREFIX, text))


def lane(text: str) -> Lane:
    lanes: dict[str, Lane] = {"express": "express", "standard": "standard"}
    if text not in lanes:
        raise ValueError("not a lane")
    return lanes[text]


def new_job() -> Job:
    """128 random bits: a new attempt is a new job."""
    return job(secrets.token_hex(16))


@dataclass(frozen=True)
class JobSubject:
    """What a job's subject says."""

    tenant: Tenant
    lane: Lane
    circuit: Circuit
    job: Job

    def under(self, p: Prefix) -> str:
        return f"{p}.job.{self.tenant}.{self.lane}.{self.circuit}.{self.job}"

    @classmethod
    def parse(cls, p: Prefix, subject: str) -> JobSubject:
        """The other way round: what the tokens of a job's subject are."""
        head = f"{p}.job."
        tokens = subject[len(head) :].split(".") if subject.startswith(head) else []
        if len(tokens) != 4:
            raise ValueError("not the subject of a job")
        return cls(tenant(tokens[0]), lane(tokens[1]), circuit(tokens[2]), job(tokens[3]))


def answer_subject(p: Prefix, t: Tenant, j: Job) -> str:
    return f"{p}.answer.{t}.{j}"


def live_subject(p: Prefix, t: Tenant, j: Job) -> str:
    return f"{p}.live.{t}.{j}"


def cancel_subject(p: Prefix, t: Tenant, j: Job) -> str:
    return f"{p}.cancel.{t}.{j}"


def bundle_subject(p: Prefix) -> str:
    return f"{p}.bundle"
