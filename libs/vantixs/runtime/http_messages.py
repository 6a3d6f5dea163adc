"""A request and its answer as plain values, and their way from and to ASGI."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Request:
    """A complete request. Header names are lower case; the values of a name that came twice are joined with a comma."""

    __slots__ = ("body", "client", "headers", "method", "path")

    def __init__(self, method: str, path: str, headers: Mapping[str, str], body: bytes, client: str) -> None:
        self.method = method
        self.path = path
        self.headers = headers
        self.body = body
        self.client = client


class Response:
    """An answer. `headers` go out as they are, after content type and length."""

    __slots__ = ("body", "headers", "media_type", "status")

    def __init__(
        self,
        status: int,
        body: bytes,
        media_type: str = "application/json",
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        self.status = status
        self.body = body
        self.media_type = media_type
        self.headers = headers


# Why there is no request to hand on. The server's owner says what is answered to each.
TOO_SLOW, TOO_LARGE, HEAD_TOO_LARGE, MALFORMED, OVERLOADED, FAILED = (
    "too_slow",
    "too_large",
    "head_too_large",
    "malformed",
    "overloaded",
    "failed",
)


def wire_headers(response: Response) -> list[tuple[bytes, bytes]]:
    """All headers of an answer, as they are sent."""
    headers = [
        (b"content-type", response.media_type.encode("latin-1")),
        (b"content-length", b"%d" % len(response.body)),
    ]
    headers += [(name.encode("latin-1"), value.encode("latin-1")) for name, value in response.headers]
    return headers


async def read_request(scope: Scope, receive: Receive) -> Request | None:
    """The request of an ASGI scope; None where the sender is gone before it was complete."""
    message = await receive()
    body = message.get("body", b"")
    while message.get("more_body", False):
        message = await receive()
        body += message.get("body", b"")
    if message["type"] == "http.disconnect":
        return None
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    client = scope["client"]
    return Request(scope["method"], scope["path"], headers, body, client[0] if client else "")


async def send_response(response: Response, send: Send) -> None:
    """Sends a whole answer."""
    await send({"type": "http.response.start", "status": response.status, "headers": wire_headers(response)})
    await send({"type": "http.response.body", "body": response.body})
