"""Content codings: what a sender compressed, as the bytes it was before (RFC 9110, 8.4)."""

import zlib

from vantixs_ingress.http.responses import Rejection

TAKEN = ("gzip", "deflate")
# How zlib is told what to expect: a gzip header; a zlib header; none, as many write `deflate`.
_FORMATS = {"gzip": (31,), "x-gzip": (31,), "deflate": (15, -15)}


def decode_body(body: bytes, coding: str, most: int) -> bytes:
    """The body without its coding; no more than `most` bytes are made of it, whatever it claims to hold.

    Raises:
        Rejection: CONTENT_ENCODING_UNSUPPORTED; BODY_TOO_LARGE after inflating; BODY_UNREADABLE where it is no complete stream,
            or more than one.
    """
    name = coding.strip().lower()
    if name in ("", "identity"):
        return body
    formats = _FORMATS.get(name)
    if formats is None:
        shown = name[:50] if name.isprintable() else "another"
        raise Rejection("CONTENT_ENCODING_UNSUPPORTED", f"expected {', '.join(TAKEN)} or identity, was {shown}")
    for bits in formats:
        stream = zlib.decompressobj(bits)
        try:
            inflated = stream.decompress(body, most + 1)
        except zlib.error:
            continue
        if len(inflated) > most:
            raise Rejection("BODY_TOO_LARGE", f"expected at most {most} bytes after inflating")
        if stream.eof and not stream.unused_data:
            return inflated
    raise Rejection("BODY_UNREADABLE", f"expected one complete stream of {name}")
