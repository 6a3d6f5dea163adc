"""Pages of a query by a key (AIP-158): page_size 0 is 50, above 1,000 is 1,000; the token holds the last key."""

import base64
import binascii
from typing import Any, Protocol

import sqlalchemy as sa

from vantixs.runtime.errors import invalid

DEFAULT, MOST = 50, 1000


class PagedRequest(Protocol):
    """A request with the fields of a page."""

    page_size: int
    page_token: str


def page_size(request: PagedRequest) -> int:
    """Rows of a page."""
    if request.page_size < 0:
        raise invalid("page_size", f"expected 0 to {MOST}, was {request.page_size}")
    return min(request.page_size or DEFAULT, MOST)


def encode_token(key: object) -> str:
    """A URL-safe token that holds the key."""
    return base64.urlsafe_b64encode(str(key).encode()).decode()


def decode_token(token: str) -> str:
    """The key of a token; INVALID_ARGUMENT where it is not one of ours."""
    try:
        return base64.b64decode(token.encode(), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError):
        raise invalid("page_token", "expected a token of the response before, was another text") from None


def page_of(
    connection: sa.Connection,
    query: "sa.Select[Any]",
    key: "sa.Column[Any]",
    request: PagedRequest,
    *,
    descending: bool = False,
) -> "tuple[list[sa.Row[Any]], str]":
    """The rows of a page in order of the key, and the token of the next page."""
    size = page_size(request)
    if request.page_token:
        last: Any = decode_token(request.page_token)
        if isinstance(key.type, sa.Integer):
            last = int(last) if last.isdecimal() else 0
        query = query.where(key < last if descending else key > last)
    rows = list(connection.execute(query.order_by(key.desc() if descending else key).limit(size + 1)))
    following = encode_token(getattr(rows[size - 1], key.name)) if len(rows) > size else ""
    return rows[:size], following
