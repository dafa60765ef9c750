"""The command: a witness in, a proof out.

    prove.py CIRCUIT WITNESS [--out FILE]          seal, submit, wait, open, check
    prove.py submit CIRCUIT WITNESS --ticket FILE  seal, keep the ticket, submit
    prove.py answer TICKET [--out FILE]            wait, open, check
    prove.py cancel TICKET                         take the job back
    prove.py bundle                                fetch and verify the bundle

It ends with 0 when it has what was asked for, with 3 on an authenticated answer without a proof, with 4 where nothing
authenticated came, with 1 on an error, and prints one line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path

import nats.errors

from sealprove_client import names
from sealprove_client.answer import Hint, Proof
from sealprove_client.bundle import Bundle, BundleRefused, Identity
from sealprove_client.client import Answer, Client, Collected, Config, Prepared, SubmitError
from sealprove_client.reading import Malformed
from sealprove_client.seal import SCHEMES, scheme
from sealprove_client.ticket import read_ticket, write_ticket


class Arguments(argparse.Namespace):
    words: list[str]
    url: str
    identity: str
    tenant: str
    prefix: str
    state: Path
    creds: str
    scheme: list[str]
    open: bool
    lane: str
    lifetime: int
    ticket: Path | None
    out: Path | None


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("words", nargs="+")
    setting = os.environ.get
    parser.add_argument("--url", default=setting("SEALPROVE_URL", "nats://127.0.0.1:4222"))
    parser.add_argument("--identity", default=setting("SEALPROVE_IDENTITY", ""))
    parser.add_argument("--tenant", default=setting("SEALPROVE_TENANT", "default"))
    parser.add_argument("--prefix", default=setting("SEALPROVE_PREFIX", "prove.v1"))
    parser.add_argument("--state", type=Path, default=Path(setting("SEALPROVE_STATE", "sealprove-state")))
    parser.add_argument("--creds", default=setting("SEALPROVE_CREDS", ""))
    parser.add_argument("--scheme", action="append", default=[])
    parser.add_argument("--open", action="store_true")
    parser.add_argument("--lane", default="standard")
    parser.add_argument("--lifetime", type=int, default=3600)
    parser.add_argument("--ticket", type=Path)
    parser.add_argument("--out", type=Path)
    return parser


def config_of(given: Arguments) -> Config:
    prefix, tenant = names.prefix(given.prefix), names.tenant(given.tenant)
    return Config(prefix, tenant, Identity.parse(given.identity), given.state)


async def connect(given: Arguments) -> Client:
    return await Client.connect(config_of(given), given.url, given.creds or None)


async def prepare(client: Client, given: Arguments, circuit: str, witness: str) -> Prepared:
    return client.prepare(
        await client.bundle(),
        names.circuit(circuit),
        Path(witness).read_bytes(),
        lane=names.lane(given.lane),
        answer="open" if given.open else "sealed",
        lifetime=given.lifetime,
        schemes=[scheme(wanted) for wanted in given.scheme] or SCHEMES,
    )


async def submit(client: Client, given: Arguments, circuit: str, witness: str, ticket: Path) -> None:
    job = await prepare(client, given, circuit, witness)
    write_ticket(ticket, job.ticket)  # before the job is published: from then on, somebody may prove it
    await client.publish(job)


async def prove(client: Client, given: Arguments, circuit: str, witness: str) -> Collected:
    with tempfile.TemporaryDirectory(prefix="sealprove-") as folder:
        ticket = given.ticket or Path(folder) / "ticket.json"
        await submit(client, given, circuit, witness, ticket)
        return await client.wait(read_ticket(ticket))


def say(**members: object) -> None:
    print(json.dumps(members))


def report(collected: Collected, out: Path | None) -> int:
    """Prints what came, keeps the document of an answer where `--out` says, and says how the program is to end."""
    if isinstance(collected, Hint):
        say(result="hint", code=collected.code, retryable=collected.retryable, why=collected.why)
        return 4
    if not isinstance(collected, Answer):
        say(result=collected.why)
        return 4
    if out is not None:
        out.write_bytes(collected.document)
    found = collected.result
    if not isinstance(found, Proof):
        say(result="refused", code=found.code, message=found.message)
        return 3
    size, inputs = len(found.proof), found.public_inputs.hex()
    say(result="proved", verifyingKey=found.verifying_key, proofBytes=size, publicInputs=inputs)
    return 0


def report_bundle(bundle: Bundle) -> int:
    circuits = [listed.id for listed in bundle.circuits]
    keys = [f"{key.scheme} {key.id}" for key in bundle.keys]
    say(result="accepted", deployment=bundle.deployment, serial=bundle.serial, circuits=circuits, keys=keys)
    return 0


async def run(client: Client, given: Arguments) -> int:
    match given.words:
        case ["bundle"]:
            return report_bundle(await client.bundle())
        case ["answer", ticket]:
            return report(await client.wait(read_ticket(Path(ticket))), given.out)
        case ["cancel", ticket]:
            result = await client.cancel(read_ticket(Path(ticket)))
            say(result=result)
            return 0 if result == "cancelled" else 4
        case ["submit", circuit, witness] if given.ticket is not None:
            await submit(client, given, circuit, witness, given.ticket)
            say(result="submitted", ticket=str(given.ticket))
            return 0
        case [circuit, witness]:
            return report(await prove(client, given, circuit, witness), given.out)
        case _:
            raise ValueError("no such command: --help lists them")


async def main(given: Arguments) -> int:
    client = await connect(given)
    try:
        return await run(client, given)
    finally:
        await client.close()


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(main(arguments().parse_intermixed_args(namespace=Arguments()))))
    except (BundleRefused, SubmitError, Malformed, ValueError, OSError, nats.errors.Error) as error:
        print(error, file=sys.stderr)
        sys.exit(1)
