"""Serves bundles that a client must refuse, and two that it must accept, each under a subject prefix of its own.

    bundles.py URL      prints the identity that signs them, and serves until it is ended

Each is the deployment's own bundle, signed anew by an identity that is made for the run.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import nats
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nats.aio.msg import Msg


def printed(key: Ed25519PrivateKey) -> str:
    return "ed25519:" + base64.b64encode(key.public_key().public_bytes_raw()).decode()


def signed(key: Ed25519PrivateKey, payload: bytes, changed: bytes | None = None) -> bytes:
    signature = key.sign(b"sealprove/1 bundle\n" + payload)
    members = {"payload": changed or payload, "signature": signature}
    return json.dumps({name: base64.b64encode(value).decode() for name, value in members.items()}).encode()


def variants(bundle: dict[str, Any], ours: Ed25519PrivateKey, foreign: Ed25519PrivateKey) -> dict[str, bytes]:
    """By the first token of the prefix under which it is served."""
    named = {**bundle, "identity": printed(ours)}

    def payload(**members: object) -> bytes:
        return json.dumps({**named, **members}).encode()

    older, newer = payload(serial=bundle["serial"]), payload(serial=bundle["serial"] + 1)
    return {
        "older": signed(ours, older),
        "newer": signed(ours, newer),
        "expired": signed(ours, payload(serial=bundle["serial"] + 1, expires_at=int(time.time()) - 1)),
        "foreign": signed(foreign, newer),
        "changed": signed(ours, newer, changed=payload(serial=bundle["serial"] + 2)),
    }


def answering(with_bytes: bytes) -> Callable[[Msg], Awaitable[None]]:
    async def answer(request: Msg) -> None:
        await request.respond(with_bytes)

    return answer


async def main(url: str) -> None:
    connection = await nats.connect(url)
    reply = await connection.request("prove.v1.bundle", b"", timeout=10)
    bundle = json.loads(base64.b64decode(json.loads(reply.data)["payload"]))
    ours, foreign = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    for name, served in variants(bundle, ours, foreign).items():
        await connection.subscribe(f"{name}.v1.bundle", cb=answering(served))
    await connection.flush()
    print(printed(ours), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
