"""Pages of a query by a key (AIP-158): page_size 0 is 50, above 1,000 is 1,000; the token holds the last key."""

import base64
import binascii
from typing import Any, Protocol

import sqlalchemy as sa

from vantixs.runtime.errors import ServiceError, invalid

DEFAULT, MOST = 50, 1000
# Keys are names and numbers, none of them near as long.
LONGEST_TOKEN = 4000
# What a column of whole numbers may hold on both databases.
LARGEST = 2**63 - 1


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


def not_a_token() -> ServiceError:
    """INVALID_ARGUMENT for a page token that no response had."""
    return invalid("page_token", "expected a token of the response before, was another text")


def decode_token(token: str) -> str:
    """The key of a token; INVALID_ARGUMENT where it is not one of ours."""
    try:
        key = base64.b64decode(token[: LONGEST_TOKEN + 1].encode(), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError):
        raise not_a_token() from None
    if len(token) > LONGEST_TOKEN or "\x00" in key:  # PostgreSQL takes no NUL.
        raise not_a_token()
    return key


def decode_number(token: str) -> int:
    """The key of a token, where it is a whole number from 0 to 2^63 - 1; INVALID_ARGUMENT where it is none."""
    key = decode_token(token)
    # The length comes first: Python refuses to read a number of thousands of digits.
    if len(key) > len(str(LARGEST)) or not (key.isascii() and key.isdecimal()) or int(key) > LARGEST:
        raise not_a_token()
    return int(key)


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
        whole = isinstance(key.type, sa.Integer)
        last: Any = decode_number(request.page_token) if whole else decode_token(request.page_token)
        query = query.where(key < last if descending else key > last)
    rows = list(connection.execute(query.order_by(key.desc() if descending else key).limit(size + 1)))
    following = encode_token(getattr(rows[size - 1], key.name)) if len(rows) > size else ""
    return rows[:size], following
