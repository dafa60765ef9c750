"""Reading what somebody else wrote: base64 and JSON.

Every decoder here takes one spelling of a value and refuses all others, since digests, signatures and tags are over
bytes. Of a JSON object each member is asked for with its type; members that are not asked for are passed over, and
`null` is as good as absent.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any

U32_MAX = 2**32 - 1
U64_MAX = 2**64 - 1


class Malformed(Exception):
    """What was read is not of the form that the protocol gives it."""


def to_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def from_base64(text: str) -> bytes:
    """Python takes digits with stray bits at the end, so what it read is written again."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Malformed("not base64") from None
    if to_base64(data) != text:
        raise Malformed("not base64")
    return data


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member stands twice")
    return members


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


class Members:
    """One JSON object, read member by member."""

    def __init__(self, name: str, value: Any) -> None:
        if not isinstance(value, dict):
            raise Malformed(f"{name} is not a JSON object")
        self._name = name
        self._members: dict[str, Any] = value

    @classmethod
    def parse(cls, name: str, data: bytes) -> Members:
        try:
            value = json.loads(data.decode("utf-8"), object_pairs_hook=_object, parse_constant=_no_constant)
        except (ValueError, RecursionError):
            # Without its cause, which would quote the text.
            raise Malformed(f"{name} is not JSON") from None
        return cls(name, value)

    def names(self) -> set[str]:
        return set(self._members)

    def has(self, member: str) -> bool:
        return self._members.get(member) is not None

    def text(self, member: str, shape: str = r"(?s).*") -> str:
        value = self._members.get(member)
        if not isinstance(value, str) or re.fullmatch(shape, value) is None:
            raise self._wrong(member)
        return value

    def whole(self, member: str, most: int = U64_MAX) -> int:
        """A whole number from 0 to `most`. Python's `True` is a number too, and none here."""
        value = self._members.get(member)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
            raise self._wrong(member)
        return value

    def flag(self, member: str) -> bool:
        value = self._members.get(member)
        if not isinstance(value, bool):
            raise self._wrong(member)
        return value

    def base64(self, member: str) -> bytes:
        try:
            return from_base64(self.text(member))
        except Malformed:
            raise self._wrong(member) from None

    def inner(self, member: str) -> Members:
        return Members(f"{self._name}.{member}", self._members.get(member))

    def objects(self, member: str) -> list[Members]:
        value = self._members.get(member)
        if not isinstance(value, list):
            raise self._wrong(member)
        return [Members(f"{self._name}.{member}[{at}]", item) for at, item in enumerate(value)]

    def texts(self, member: str) -> list[str]:
        value = self._members.get(member)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self._wrong(member)
        return [str(item) for item in value]

    def _wrong(self, member: str) -> Malformed:
        return Malformed(f"{self._name}.{member} is missing or malformed")
