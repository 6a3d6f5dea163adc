"""Filters: whatever is asked, the database and the rule in Python find the same signals, and pages hold each of them once."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from vantixs.api.audit.v1 import audit_pb2
from vantixs.runtime.database import Database
from vantixs.runtime.errors import ServiceError
from vantixs_audit import list_signals as listing
from vantixs_audit.domain.filter_expression import DEEPEST, LONGEST, MOST_TERMS, FilterError, read_filter
from vantixs_audit.domain.filter_fields import FIELDS, Kind
from vantixs_audit.list_signals import list_signals
from vantixs_audit.main import MIGRATIONS
from vantixs_audit.settings import AuditSettings
from vantixs_audit.signal_filter import condition, holds, row_of_message
from vantixs_audit.tables import SIGNALS
from vantixs_audit.views import summary

from tests.support.signal_rows import store_signals

TEXTS = ("", "a", "b", "r1", "x y", "é", 'q"\\', "*", "AND")
VALUES: dict[Kind, tuple[str, ...]] = {
    Kind.TEXT: TEXTS,
    Kind.WORDS: (*TEXTS, "x", "y X", "?"),
    Kind.TIME: (
        "2026-11-27",
        "2026-11-27T00:00:03Z",
        "2026-11-27T00:00:05.5+01:00",
        "0001-01-01",
        "9999-12-31T23:59:59Z",
    ),
    Kind.DURATION: ("0s", "1.5s", "-2s", "0.0000004s", "999999999s"),
    Kind.NUMBER: ("0", "1", "-1.25", "12.505", "999999999999"),
}


def quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


@st.composite
def comparisons(draw: st.DrawFn) -> str:
    name = draw(st.sampled_from(sorted(FIELDS)))
    field = FIELDS[name]
    operators = ["=", "!=", ":"]
    if field.kind in (Kind.TIME, Kind.DURATION, Kind.NUMBER):
        operators += ["<", "<=", ">", ">="]
    operator = draw(st.sampled_from(operators))
    value = draw(st.sampled_from(field.names or VALUES[field.kind]))
    if (operator == ":" and draw(st.booleans())) or (operator == ":" and not value):
        return f"{name}:*"
    return f"{name} {operator} {quoted(value)}"


EXPRESSIONS = st.recursive(
    comparisons(),
    lambda inner: st.one_of(
        inner.map(lambda e: f"NOT ({e})"),
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]}) AND {pair[1]}"),
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]} OR ({pair[1]}))"),
    ),
    max_leaves=6,
)
ORDERS = st.sampled_from(("", "receive_time", "emit_time desc", "latency", "latency desc", "slippage_bps desc"))


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = await Database.open(replace(AuditSettings(), database_url=database_url), "audit", MIGRATIONS)
    await opened.write(lambda c: store_signals(c, 60))
    yield opened
    await opened.close()


def pages(connection: sa.Connection, expression: str, order_by: str, size: int) -> list[str]:
    found: list[str] = []
    request = audit_pb2.ListSignalsRequest(page_size=size, order_by=order_by)
    request.filter.expression = expression
    while True:
        rows, token = list_signals(connection, request)
        assert len(rows) <= size
        found += [row.signal_id for row in rows]
        if not token:
            return found
        request.page_token = token


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_database_and_rule_find_the_same_signals_in_pages_of_any_size(
    database: Database, data: st.DataObject
) -> None:
    cases = data.draw(st.lists(st.tuples(EXPRESSIONS, ORDERS), min_size=8, max_size=8))
    size, few = data.draw(st.integers(7, 40)), data.draw(st.sampled_from((0, 20, 3000)))
    window = data.draw(st.sampled_from((1, 9, 5000)))

    def check(connection: sa.Connection) -> None:
        rows = connection.execute(sa.select(SIGNALS)).all()
        shown = {row.signal_id: row_of_message(summary(row)) for row in rows}
        for text, order_by in cases:
            expression = read_filter(text)
            expected = {row.signal_id for row in rows if holds(expression, row._mapping)}
            assert expected == {name for name, row in shown.items() if holds(expression, row)}, text
            for by_index in (True, False):
                query = sa.select(SIGNALS.c.signal_id).where(condition(expression, by_index=by_index))
                assert set(connection.execute(query).scalars()) == expected, text
            found = pages(connection, text, order_by, size)
            assert len(found) == len(set(found)), text
            assert set(found) == expected, text
            assert found == in_order([row for row in rows if row.signal_id in expected], order_by), (text, order_by)

    before = listing.FEW, listing.WINDOW
    listing.FEW, listing.WINDOW = few, window
    try:
        await database.read(check)
    finally:
        listing.FEW, listing.WINDOW = before


def in_order(rows: list[Any], order_by: str) -> list[str]:
    name, _, direction = (order_by or "receive_time desc").partition(" ")
    column = {"latency": "latency_us"}.get(name, name)
    there = [row for row in rows if getattr(row, column) is not None]
    empty = [row for row in rows if getattr(row, column) is None]
    descending = direction == "desc"
    there.sort(key=lambda row: (getattr(row, column), row.receive_time, row.number), reverse=descending)
    empty.sort(key=lambda row: (row.receive_time, row.number), reverse=descending)
    return [row.signal_id for row in (*there, *empty)]


@given(
    st.one_of(
        st.text(max_size=80),
        st.lists(
            st.sampled_from(["status", "=", "(", ")", "NOT", "AND", "OR", "-", ":", "*", '"', "FAILED", "1s", "a"])
        ).map(" ".join),
    )
)
def test_any_text_is_a_filter_or_says_where_it_is_none(text: str) -> None:
    try:
        read_filter(text)
    except FilterError as error:
        assert 1 <= error.position <= len(text) + 1
        assert "expected" in str(error)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("state = FAILED", "at 1: expected one of status, "),
        ("status = DONE", "at 10: expected one of ACCEPTED, EXECUTED, REJECTED, FAILED, REPLAYED, was 'DONE'"),
        ("status FAILED", "at 8: expected an operator: = != < <= > >= :, was 'FAILED'"),
        ("status = FAILED webhook = a", "at 17: expected AND, OR or the end, was 'webhook'"),
        ("latency > 1500ms", "at 11: expected a duration, for example 1.5s, was '1500ms'"),
        ("latency > ", "at 11: expected a duration, for example 1.5s, was the end"),
        ("(status = FAILED", "at 17: expected AND, OR or `)`, was the end"),
        ("reason > a", "at 8: expected = != or `:` after reason, was '>'"),
        (
            "receive_time > yesterday",
            "at 16: expected a time, for example 2026-11-27T09:00:00Z or 2026-11-27, was 'yesterday'",
        ),
        ("NOT", "at 4: expected a field, for example status, was the end"),
        ("a" * (LONGEST + 1), f"at {LONGEST + 1}: expected at most {LONGEST} characters, was {LONGEST + 1}"),
        ("(" * DEEPEST + "status = FAILED" + ")" * DEEPEST, f"at {DEEPEST + 1}: expected at most {DEEPEST} levels"),
        (" AND ".join(["stage = a"] * (MOST_TERMS + 1)), f"expected at most {MOST_TERMS} conditions"),
    ],
)
def test_what_is_no_filter_is_told_with_its_place(text: str, told: str) -> None:
    with pytest.raises(FilterError) as caught:
        read_filter(text)
    assert told in str(caught.value)


def test_or_binds_tighter_than_and() -> None:
    assert read_filter("stage = a AND stage = b OR stage = c") == read_filter("stage = a AND (stage = b OR stage = c)")


async def test_page_stays_where_it_was_while_signals_come(database: Database) -> None:
    request = audit_pb2.ListSignalsRequest(page_size=20)
    first, token = await database.read(lambda c: list_signals(c, request))
    await database.write(lambda c: store_signals(c, 15, begin=100, newer=True))
    request.page_token = token
    second, _ = await database.read(lambda c: list_signals(c, request))
    assert first[-1].receive_time >= second[0].receive_time
    assert not {row.signal_id for row in second} & {f"s{n}" for n in range(100, 115)}
    assert len({row.signal_id for row in (*first, *second)}) == 40


async def test_token_of_another_filter_or_order_is_refused(database: Database) -> None:
    request = audit_pb2.ListSignalsRequest(page_size=5)
    _, token = await database.read(lambda c: list_signals(c, request))
    for other in (
        audit_pb2.ListSignalsRequest(page_token=token, order_by="latency"),
        audit_pb2.ListSignalsRequest(page_token=token, filter=audit_pb2.SignalFilter(webhook_id="a")),
        audit_pb2.ListSignalsRequest(page_token="MTI="),
        audit_pb2.ListSignalsRequest(page_token="!"),
        audit_pb2.ListSignalsRequest(order_by="detail"),
    ):
        with pytest.raises(ServiceError) as caught:
            await database.read(lambda c, other=other: list_signals(c, other))
        assert caught.value.code.name == "INVALID_ARGUMENT"
