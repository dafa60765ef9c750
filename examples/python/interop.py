"""What a client must live through and no user does on purpose.

A job changed on its way, an answer that somebody forged, a broker that refuses, a job taken back. `make interop` runs
these against a private broker and service.

    interop.py tampered|forged|acks|cancel CIRCUIT WITNESS

Each prints a line of JSON with what came of it, and fails where it was not what the protocol says.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import re
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass

import nats
from nats.aio.client import Client as Connection

import prove
from sealprove_client import names
from sealprove_client.answer import Hint
from sealprove_client.client import Client, Collected, Prepared, SubmitError
from sealprove_client.reading import to_base64


@dataclass(frozen=True)
class Stage:
    nats: Connection
    client: Client
    given: prove.Arguments
    #: A fresh job on the given witness, sealed and not yet published.
    prepare: Callable[[], Awaitable[Prepared]]


def demand(held: bool, what: str) -> None:
    if not held:
        raise AssertionError(f"not as the protocol says: {what}")


def hint(collected: Collected, code: str) -> dict[str, object]:
    if not isinstance(collected, Hint) or collected.code != code:
        raise AssertionError(f"expected a hint {code}, not {collected}")
    return {"result": "hint", "code": collected.code, "why": collected.why}


async def tampered(stage: Stage) -> dict[str, object]:
    """A header that was changed after the witness was sealed: the seal does not open, and only a hint can say so."""
    job = await stage.prepare()
    headers = {**job.headers, "Sealprove-Expires": str(job.ticket.expires + 1)}
    await stage.client.publish(dataclasses.replace(job, headers=headers))
    return hint(await stage.client.wait(job.ticket), "UNSEAL_FAILED")


async def forged(stage: Stage) -> dict[str, object]:
    """Somebody is first on the answer's subject, with a proof that nobody has made."""
    job = await stage.prepare()
    about = job.ticket.expected
    headers = {
        "Sealprove-Version": "1",
        "Sealprove-Outcome": "proved",
        "Sealprove-Code": "OK",
        "Sealprove-Answer": "open" if stage.given.open else "sealed",
        "Content-Type": "application/json",
        "Sealprove-Tag": to_base64(bytes(48)),
        "Status": "404",
    }
    document = {
        "version": "1",
        "job": about.job,
        "tenant": about.tenant,
        "circuit": about.circuit,
        "attempt": 1,
        "timings_ms": {},
        "verifying_key": about.proof_keys[0],
        "proof": "AAAA",
        "public_inputs": "AAAA",
    }
    subject = names.answer_subject(names.prefix(stage.given.prefix), about.tenant, about.job)
    stored = await stage.nats.request(subject, json.dumps(document).encode(), timeout=5, headers=headers)
    demand("seq" in json.loads(stored.data), "the forged answer was not stored")
    await stage.client.publish(job)
    return hint(await stage.client.wait(job.ticket), "OK")


async def acks(stage: Stage) -> dict[str, object]:
    """Every reply of the broker that is not "queued"."""
    said: dict[str, object] = {}

    async def refuses(name: str, expected: str, publish: Coroutine[None, None, None]) -> None:
        try:
            await publish
            error = "queued"
        except SubmitError as raised:
            error = str(raised)
        demand(re.search(expected, error) is not None, f"{name}: {error}")
        said[name] = error

    twice = await stage.prepare()
    await stage.client.publish(twice)
    await refuses("taken", "has taken this job's subject", stage.client.publish(twice))

    first, second = await stage.prepare(), await stage.prepare()
    message_id = {"Nats-Msg-Id": names.new_job()}
    await stage.client.publish(dataclasses.replace(first, headers={**first.headers, **message_id}))
    again = dataclasses.replace(second, headers={**second.headers, **message_id})
    await refuses("duplicate", "duplicate", stage.client.publish(again))

    small = {"name": "SMALL", "subjects": ["small.job.>"], "max_msgs": 1, "discard": "new", "storage": "memory"}
    await stage.nats.request("$JS.API.STREAM.CREATE.SMALL", json.dumps(small).encode(), timeout=5)
    await stage.client.publish(elsewhere(await stage.prepare(), "small"))
    await refuses("full", "queue is full", stage.client.publish(elsewhere(await stage.prepare(), "small")))
    await stage.nats.request("$JS.API.STREAM.DELETE.SMALL", b"", timeout=5)

    stage.client.publish_for = 1.5
    nobody = elsewhere(await stage.prepare(), "nowhere")
    await refuses("nobody", "no stream takes this subject", stage.client.publish(nobody))
    return said


def elsewhere(job: Prepared, under: str) -> Prepared:
    return dataclasses.replace(job, subject=job.subject.replace("prove.v1", under, 1))


async def cancel(stage: Stage) -> dict[str, object]:
    """The last of a few jobs, taken back while the others are being proved."""
    jobs = [await stage.prepare() for _ in range(6)]
    for job in jobs:
        await stage.client.publish(job)
    last = jobs[-1].ticket
    demand(await stage.client.cancel(last) == "cancelled", "the job was not taken back")
    collected = hint(await stage.client.wait(last), "CANCELLED")
    nobodys = dataclasses.replace(last.expected, job=names.new_job())
    found = await stage.client.cancel(dataclasses.replace(last, expected=nobodys))
    demand(found == "not-found", "a job that never was")
    return collected


CASES = {"tampered": tampered, "forged": forged, "acks": acks, "cancel": cancel}


async def main(given: prove.Arguments) -> None:
    case, circuit, witness = given.words
    connection = await nats.connect(given.url)
    client = await prove.connect(given)
    try:
        stage = Stage(connection, client, given, lambda: prove.prepare(client, given, circuit, witness))
        print(json.dumps(await CASES[case](stage)))
    finally:
        await client.close()
        await connection.close()


if __name__ == "__main__":
    asyncio.run(main(prove.arguments().parse_intermixed_args(namespace=prove.Arguments())))
