"""One POST of HTTP/1.1: no redirects, no proxies, an answer of bounded size."""

import http.client
from urllib.parse import urlsplit

from vantixs.client.calls import Answer

MOST_BYTES = 1 << 20


def post(url: str, body: bytes, headers: dict[str, str], timeout_s: float) -> Answer:
    """The answer; `timeout_s` is what each step of it may take.

    Raises:
        ValueError: no URL of HTTP.
        OSError, HTTPException: no answer came.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("url: expected http://host[:port]/... or https, was another thing")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname, parts.port, timeout=timeout_s)
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", path, body, headers)
        response = connection.getresponse()
        return Answer(response.status, response.read(MOST_BYTES))
    finally:
        connection.close()
