"""Fields of protobuf messages on the wire, for what is serialized once and sent often.

Source: https://protobuf.dev/programming-guides/encoding/
"""


def field(number: int, data: bytes) -> bytes:
    """A field that holds a message or bytes: tag, length, data. Numbers up to 15 have a tag of one byte."""
    length, prefix = len(data), bytearray((number << 3 | 2,))
    while length > 0x7F:
        prefix.append(length & 0x7F | 0x80)
        length >>= 7
    prefix.append(length)
    return bytes(prefix) + data
