"""The client: everything that is said to the broker.

It trusts none of what the broker says but that a job is queued; what it believes of bundles and answers is in
`bundle.py` and `answer.py`.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nats
from nats.aio.client import Client as Connection
from nats.aio.msg import Msg
from nats.errors import NoRespondersError
from nats.errors import TimeoutError as NoReply

from . import names
from .answer import (
    AnswerKeys,
    AnswerRefused,
    Expected,
    Hint,
    Message,
    Proof,
    Refusal,
    check_document,
    open_answer,
)
from .bundle import Bundle, Identity, choose_key, read_signed, verify_bundle
from .names import AnswerMode, Circuit, JobSubject, Lane, Prefix, Tenant, new_job
from .reading import Members
from .seal import SCHEMES, JobHeader, Scheme, seal
from .ticket import Ticket

ANSWER_AFTER_DEADLINE = 600
ANSWERS_KEPT = 48 * 3600
REQUEST_TIMEOUT = 5.0


@dataclass(frozen=True)
class Config:
    prefix: Prefix
    tenant: Tenant
    identity: Identity
    #: The folder in which the accepted bundle is kept: its serial is the one below which nothing is accepted.
    state: Path


@dataclass(frozen=True)
class Prepared:
    """A sealed job that is not published yet, and its ticket, which is to be kept before it is."""

    subject: str
    headers: dict[str, str]
    payload: bytes
    ticket: Ticket


@dataclass(frozen=True)
class Answer:
    result: Proof | Refusal
    document: bytes


@dataclass(frozen=True)
class NoAnswer:
    """`lost`: there must be one by now, and is none. `gone`: it is no longer kept."""

    why: str


Collected = Answer | Hint | NoAnswer


class SubmitError(Exception):
    """The job is not queued."""


class JobIsHere(SubmitError):
    """There is a job on this subject."""


class Client:
    """How long a job is offered to a broker that does not answer, or has no leader, is `publish_for`."""

    publish_for = 30.0

    def __init__(self, connection: Connection, config: Config) -> None:
        self._nats = connection
        self._config = config

    @classmethod
    async def connect(cls, config: Config, url: str, credentials: str | None = None) -> Client:
        return cls(await nats.connect(url, name="sealprove-client", user_credentials=credentials), config)

    async def close(self) -> None:
        await self._nats.drain()

    async def bundle(self) -> Bundle:
        """The deployment's bundle: from a service that runs, else the one that was accepted last."""
        identity = self._config.identity
        path = self._config.state / identity.file_name()
        kept = path.read_bytes() if path.exists() else None
        seen = 0 if kept is None else read_signed(kept, identity).serial
        fetched = await self._ask(names.bundle_subject(self._config.prefix))
        if fetched is None:
            if kept is None:
                raise SubmitError("no service answers, and no bundle was kept: ask again later")
            return verify_bundle(kept, identity, _now(), seen)
        bundle = verify_bundle(fetched.data, identity, _now(), seen)
        self._config.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        new = path.with_suffix(".new")
        new.write_bytes(fetched.data)
        os.replace(new, path)
        return bundle

    def prepare(
        self,
        bundle: Bundle,
        name: Circuit,
        witness: bytes,
        *,
        lane: Lane = "standard",
        answer: AnswerMode = "sealed",
        lifetime: int = 3600,
        schemes: Sequence[Scheme] = SCHEMES,
    ) -> Prepared:
        """Seals `witness` as a new job, whose answer is wanted within `lifetime` seconds, at most a day.

        Subject, headers and `info` are made of one value, so they cannot disagree.
        """
        circuit = next((listed for listed in bundle.circuits if listed.id == name), None)
        if circuit is None:
            raise SubmitError(f"the bundle does not list {name}")
        if len(witness) > circuit.witness_bytes_max:
            raise SubmitError(f"a witness of {name} is smaller than this")
        submitted = _now()
        expires = submitted + lifetime
        key = choose_key(bundle, submitted, expires, schemes)
        subject = JobSubject(self._config.tenant, lane, name, new_job())
        header = JobHeader(subject, bundle.deployment, key.id, expires, answer, circuit.verifying_key)
        info = header.info()
        sealed = seal(key.scheme, key.public_key, info, witness)
        expected = Expected(subject.tenant, name, subject.job, circuit.proof_keys)
        ticket = Ticket(expected, AnswerKeys(info, sealed.enc, sealed.answer_secret), expires, submitted)
        return Prepared(subject.under(self._config.prefix), header.headers(), sealed.payload, ticket)

    async def publish(self, job: Prepared) -> None:
        """Offers a prepared job until the broker has said what became of it. Keep its ticket first."""
        if len(job.payload) > self._nats.max_payload:
            raise SubmitError(f"the sealed job is larger than the broker takes: {self._nats.max_payload} bytes")
        until = time.monotonic() + self.publish_for
        first = True
        while (reply := await self._ask(job.subject, job.payload, job.headers)) is None:
            # Not known: the same bytes may be offered again, on the same subject.
            if time.monotonic() >= until:
                raise SubmitError("no stream takes this subject: check prefix, tenant and lane")
            first = False
            await asyncio.sleep(min(1.0, self.publish_for))
        try:
            read_ack(reply.data)
        except JobIsHere:
            if first:
                raise SubmitError("somebody has taken this job's subject: submit a new job") from None

    async def wait(self, ticket: Ticket) -> Collected:
        """Waits until the job has its answer. `live` only wakes: the answer is always read from the stream."""
        about = ticket.expected
        live = await self._nats.subscribe(names.live_subject(self._config.prefix, about.tenant, about.job))
        pause = 1.0
        try:
            while True:
                message = await self._read_answer(ticket)
                if message is not None:
                    return collect(ticket, message)
                if _now() > ticket.submitted + ANSWERS_KEPT:
                    return NoAnswer("gone")
                if _now() > ticket.expires + ANSWER_AFTER_DEADLINE:
                    return NoAnswer("lost")
                try:
                    await live.next_msg(timeout=pause)
                except NoReply:
                    pause = min(pause * 1.5, 15.0)
        finally:
            await live.unsubscribe()

    async def _read_answer(self, ticket: Ticket) -> Message | None:
        """A direct get by subject. `None` is "not yet", never "never": a replica may lag."""
        about = ticket.expected
        subject = names.answer_subject(self._config.prefix, about.tenant, about.job)
        reply = await self._ask(f"$JS.API.DIRECT.GET.PROVE_ANSWERS_{about.tenant}.{subject}")
        if reply is None or reply.headers is None or reply.headers.get("Nats-Subject") != subject:
            return None  # 404 and its like, which name no stored message
        return Message(reply.headers, reply.data)

    async def cancel(self, ticket: Ticket) -> str:
        """Takes the job back: `cancelled`, `answered`, `not-found` or `unavailable`."""
        about = ticket.expected
        subject = names.cancel_subject(self._config.prefix, about.tenant, about.job)
        reply = Members.parse("cancel reply", (await self._nats.request(subject, b"", timeout=30.0)).data)
        if reply.text("job") != about.job:
            raise SubmitError("a reply about another job: ask again")
        return reply.text("result")

    async def _ask(self, subject: str, payload: bytes = b"", headers: dict[str, str] | None = None) -> Msg | None:
        """A request. `None`: nobody is there, or nobody answered in time."""
        try:
            return await self._nats.request(subject, payload, timeout=REQUEST_TIMEOUT, headers=headers)
        except (NoRespondersError, NoReply):
            return None


def read_ack(data: bytes) -> None:
    """What the broker's reply to a job means: it is queued, or an error says why it is not.

    The broker has one number for "you have been here" and for "I am full": only the words tell them apart.
    """
    ack = Members.parse("acknowledgement", data)
    if ack.has("error"):
        error = ack.inner("error")
        code = error.whole("err_code") if error.has("err_code") else 0
        why = error.text("description") if error.has("description") else "no reason given"
        if code == 10077 and why == "maximum messages per subject exceeded":
            raise JobIsHere(why)
        if code == 10077:
            raise SubmitError(f"the queue is full, submit later: {why}")
        raise SubmitError(f"the broker refused the job: {why} ({code})")
    if ack.has("duplicate") and ack.flag("duplicate"):
        raise SubmitError("the broker dropped the job as a duplicate: nobody may set Nats-Msg-Id")
    ack.text("stream")
    ack.whole("seq")


def collect(ticket: Ticket, message: Message) -> Collected:
    """What an answer's message is to the holder of this ticket. The subject takes no second one: this is final."""
    opened = open_answer(ticket.keys, message)
    if isinstance(opened, Hint):
        return opened
    try:
        return Answer(check_document(ticket.expected, opened.code, opened.document), opened.document)
    except AnswerRefused as error:
        return Hint(opened.code, False, str(error))


def _now() -> int:
    return int(time.time())
