"""Page tokens that no response had: each is answered INVALID_ARGUMENT, on both kinds of keys."""

import base64
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import example, given
from hypothesis import strategies as st
from vantixs.api.router.v1 import router_pb2
from vantixs.runtime.errors import ServiceError
from vantixs.runtime.paging import LARGEST, LONGEST_TOKEN, decode_number, decode_token, encode_token, page_of

THINGS = sa.Table(
    "things", sa.MetaData(), sa.Column("number", sa.BigInteger, primary_key=True), sa.Column("name", sa.Text)
)
NUMBER, NAME = THINGS.c.number, THINGS.c.name


@pytest.fixture(scope="module")
def connection() -> Iterator[sa.Connection]:
    engine = sa.create_engine("sqlite://")
    with engine.begin() as made:
        THINGS.create(made)
        made.execute(sa.insert(THINGS), [{"number": n, "name": f"n{n}"} for n in range(1, 6)])
        yield made
    engine.dispose()


def code_of(error: ServiceError) -> str:
    assert [violation.field for violation in error.violations] == ["page_token"]
    return error.code.name


def page(connection: sa.Connection, key: "sa.Column[Any]", token: str) -> list[int]:
    request = router_pb2.ListOrdersRequest(page_size=2, page_token=token)
    rows, _ = page_of(connection, sa.select(THINGS), key, request)
    return [row.number for row in rows]


def test_token_of_a_response_goes_on_after_it(connection: sa.Connection) -> None:
    for key, last in ((NUMBER, 2), (NAME, "n2")):
        assert page(connection, key, encode_token(last)) == [3, 4]
    assert decode_number(encode_token(LARGEST)) == LARGEST


FORGED = st.one_of(
    st.text(),
    st.one_of(st.text(), st.integers(), st.floats(), st.just("9" * 5000)).map(encode_token),
    st.binary().map(lambda data: base64.urlsafe_b64encode(data).decode()),
)


@given(token=FORGED)
@example(encode_token(2**63))
@example(encode_token(10**30))
@example(encode_token("9" * 5000))
@example(encode_token("9" * 2000))
@example(encode_token("\u0663"))
@example(encode_token("-1"))
@example(encode_token("3.0"))
@example(encode_token("abc"))
@example(encode_token("[" * 100_000))
@example("A" * (LONGEST_TOKEN + 4))
@example(encode_token("a\x00"))
def test_forged_token_is_an_invalid_argument(connection: sa.Connection, token: str) -> None:
    try:
        found = decode_number(token) if token else 0
    except ServiceError as error:
        assert code_of(error) == "INVALID_ARGUMENT"
        with pytest.raises(ServiceError):
            page(connection, NUMBER, token)
    else:
        assert 0 <= found <= LARGEST
        page(connection, NUMBER, token)
    try:
        key = decode_token(token)
    except ServiceError as error:
        assert code_of(error) == "INVALID_ARGUMENT"
    else:
        assert "\x00" not in key
        page(connection, NAME, token)
