"""Content codings: what a sender compressed, as the bytes it was before (RFC 9110, 8.4)."""

import zlib

from vantixs.runtime.http_messages import Request

from vantixs_ingress.http.responses import Rejection

TAKEN = ("gzip", "deflate")
# How zlib is told what to expect: a gzip header; a zlib header; none, as many write `deflate`.
_FORMATS = {"gzip": (31,), "x-gzip": (31,), "deflate": (15, -15)}


class UnreadableContent(Rejection):
    """A body whose content coding cannot be undone. It is answered and not recorded: nothing is known of what it holds."""


def read_content(request: Request, most: int) -> bytes:
    """The body of a request without its content coding; no more than `most` bytes of it.

    Raises:
        UnreadableContent: as in `decode_body`.
    """
    coding = request.headers.get("content-encoding")
    return decode_body(request.body, coding, most) if coding else request.body


def decode_body(body: bytes, coding: str, most: int) -> bytes:
    """The body without its coding; no more than `most` bytes are made of it, whatever it claims to hold.

    Raises:
        UnreadableContent: CONTENT_ENCODING_UNSUPPORTED; BODY_TOO_LARGE after inflating; BODY_UNREADABLE where it is not one
            complete stream.
    """
    name = coding.strip().lower()
    if name in ("", "identity"):
        return body
    formats = _FORMATS.get(name)
    if formats is None:
        shown = name[:50] if name.isprintable() else "another"
        raise UnreadableContent("CONTENT_ENCODING_UNSUPPORTED", f"expected {', '.join(TAKEN)} or identity, was {shown}")
    for bits in formats:
        stream = zlib.decompressobj(bits)
        try:
            inflated = stream.decompress(body, most + 1)
        except zlib.error:
            continue
        if len(inflated) > most:
            raise UnreadableContent("BODY_TOO_LARGE", f"expected at most {most} bytes after inflating")
        if stream.eof and not stream.unused_data:
            return inflated
    raise UnreadableContent("BODY_UNREADABLE", f"expected one complete stream of {name}")
