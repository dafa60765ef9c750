"""Length, content, zeros: PADME with a floor of 1 KiB, so that a size says little of what is in it."""

from __future__ import annotations


def padded(length: int) -> int:
    """The size to which `length` bytes, with their own four of length, are padded."""
    if length <= 1024:
        return 1024
    e = length.bit_length() - 1
    s = e.bit_length()  # floor(log2(e)) + 1
    step = 1 << (e - s)
    return -(-length // step) * step


def padded_witness(size: int) -> int:
    return padded(4 + size)


def pad(content: bytes) -> bytes:
    plaintext = len(content).to_bytes(4, "big") + content
    return plaintext.ljust(padded(len(plaintext)), b"\0")


def unpad(plaintext: bytes) -> bytes | None:
    """The content, or `None` where length, size or zeros are not as `pad` makes them."""
    if len(plaintext) < 4:
        return None
    content = plaintext[4 : 4 + int.from_bytes(plaintext[:4], "big")]
    return content if pad(content) == plaintext else None
