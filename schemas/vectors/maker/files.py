"""The files: their names, their lines, and that no pair of field and mutation comes twice."""

import base64
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent / "testkit"


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


class Folder:
    """One folder of vectors, in memory until all of it is made."""

    def __init__(self, name: str):
        self.name = name
        self.files: dict[str, str] = {}

    def add(self, expect: str, field: str, mutation: str, scheme: str, comment: str, lines: list[tuple[str, str]]):
        head = [("expect", expect), ("field", field), ("mutation", mutation), ("scheme", scheme)]
        if comment:
            head.append(("comment", comment))
        text = "".join(f"{name}: {value}\n" for name, value in head + lines)
        if any("\n" in value or "\r" in value for _, value in head + lines):
            raise ValueError(f"a value of several lines in {field} / {mutation}")
        name = slug("success" if field == "none" else field, mutation, "" if scheme == "-" else scheme)
        if name in self.files:
            raise ValueError(f"{self.name}/{name} comes twice")
        self.files[name] = text

    def write(self):
        folder = ROOT / self.name
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("*.txt"):
            if old.stem not in self.files:
                old.unlink()
        for name, text in self.files.items():
            (folder / f"{name}.txt").write_bytes(text.encode())


def slug(*parts: str) -> str:
    return "-".join(re.sub(r"[^a-z0-9]+", "-", part.lower()).strip("-") for part in parts if part)
