"""Fields of protobuf messages on the wire, for what is serialized once and sent often.

An accepted entry of parts takes 15 us of CPU, as objects 32 us, of a signal's 530 us (2026-11-27, bench/clever.py and
bench/paths.py, plain Python).

Source: https://protobuf.dev/programming-guides/encoding/
"""


def field(number: int, data: bytes) -> bytes:
    """A field that holds a message or bytes: tag, length, data. Numbers up to 15 have a tag of one byte."""
    tag, length = number << 3 | 2, len(data)
    if length < 1 << 7:
        return bytes((tag, length)) + data
    if length < 1 << 14:
        return bytes((tag, length & 0x7F | 0x80, length >> 7)) + data
    prefix = [tag]
    while length > 0x7F:
        prefix.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes((*prefix, length)) + data
