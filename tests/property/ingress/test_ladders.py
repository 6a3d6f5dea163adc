"""Ladders of targets: what is read back is what was written, in each spelling; and nothing that was written is lost."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from vantixs.model.instruments import CATALOGUE
from vantixs_ingress.domain.payload.reading import Reading
from vantixs_ingress.domain.signal.read_signal import read_signal
from vantixs_ingress.domain.signal.rules import Rules
from vantixs_ingress.spool.signal_message import signal_message

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
RULES = Rules(account_id="paper")
Rung = tuple[str, str, str]  # kind, value, share or ""


@st.composite
def ladders(draw: st.DrawFn) -> tuple[bool, list[Rung]]:
    """Whether it is for a long, and targets that a signal can hold: 1 to 10 of one kind, each farther than the one before."""
    kind = draw(st.sampled_from(["price", "percent"]))
    numbers = st.integers(1, 9900).map(lambda n: Decimal(n) / 100)
    values = sorted(draw(st.lists(numbers, min_size=1, max_size=10, unique=True)))
    long = draw(st.booleans())
    if kind == "price" and not long:
        values.reverse()
    parts = draw(st.lists(st.integers(1, 100), min_size=len(values), max_size=len(values)))
    said = draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values)))
    total = sum(parts) + 1  # Something is left for those that say no part.
    shares = [format((Decimal(100) * part / total).quantize(Decimal("0.01")), "f") if yes else ""
              for part, yes in zip(parts, said, strict=True)]  # fmt: skip
    shares = [share if Decimal(share or 0) > 1 else "" for share in shares]  # Up to 1 it could be a fraction.
    return long, [(kind, format(value, "f"), share) for value, share in zip(values, shares, strict=True)]


def level(rung: Rung) -> Any:
    return f"{rung[1]}%" if rung[0] == "percent" else rung[1]


def numbered(name: str, share: str) -> Any:
    def write(rungs: list[Rung]) -> dict[str, Any]:
        fields: dict[str, Any] = {name.format(n): level(rung) for n, rung in enumerate(rungs, 1)}
        return fields | {share.format(n): rung[2] for n, rung in enumerate(rungs, 1) if rung[2]}

    return write


def by_kind(rungs: list[Rung]) -> dict[str, Any]:
    fields: dict[str, Any] = {f"tp{n}_{rung[0]}": rung[1] for n, rung in enumerate(rungs, 1)}
    return fields | {f"tp{n}_percent_of_position": f"{rung[2]}%" for n, rung in enumerate(rungs, 1) if rung[2]}


def objects(rungs: list[Rung], part: str = "share") -> list[dict[str, str]]:
    return [{kind: value} | ({part: share} if share else {}) for kind, value, share in rungs]


SPELLINGS: dict[str, Any] = {
    "tp1": numbered("tp{}", "tp{}_share"),
    "take_profit_1": numbered("take_profit_{}", "take_profit_{}_quantity_percent"),
    "takeProfit1": numbered("takeProfit{}", "takeProfitAmountPercentage{}"),
    "target1": numbered("Target-{}", "target{}_close_pct"),
    "kinds": by_kind,
    "objects": lambda rungs: {f"tp{n}": target for n, target in enumerate(objects(rungs), 1)},
    "list": lambda rungs: {"take_profits": objects(rungs)},
    "list of percents": lambda rungs: {"takeProfits": objects(rungs, "quantityPercent")},
    "values": lambda rungs: {"targets": [level(r) for r in rungs], "tp_shares": [r[2] for r in rungs]},
    "object of numbers": lambda rungs: {"targets": {str(n): target for n, target in enumerate(objects(rungs), 1)}},
    "nested": lambda rungs: {"take_profit": {"enabled": True, "targets": objects(rungs)}},
    "in the order": lambda rungs: {"order": SPELLINGS["tp1"](rungs)},
}


def read(body: str) -> Reading:
    return read_signal(body.encode(), RULES, CATALOGUE, NOW)


def rungs_of(reading: Reading) -> list[tuple[str, Decimal, Decimal | None]]:
    found = []
    for target in signal_message(reading, "").take_profits:
        kind = str(target.level.WhichOneof("level"))
        found.append((kind, Decimal(getattr(target.level, kind)), Decimal(target.share) if target.share else None))
    return found


@given(ladders(), st.sampled_from(sorted(SPELLINGS)), st.randoms(use_true_random=False))
def test_what_is_written_is_read_back_in_each_spelling(
    ladder: tuple[bool, list[Rung]], spelling: str, random: Any
) -> None:
    long, rungs = ladder
    start = {"action": "long" if long else "short", "symbol": "BTCUSDT.P"}
    rows = list((start | SPELLINGS[spelling](rungs)).items())
    random.shuffle(rows)
    expected = [(kind, Decimal(value), Decimal(share) if share else None) for kind, value, share in rungs]
    reading = read(json.dumps(dict(rows)))
    assert not reading.errors, reading.errors
    assert rungs_of(reading) == expected
    if all(isinstance(value, str) for _, value in rows):
        assert rungs_of(read("\n".join(f"{name}={value}" for name, value in rows))) == expected


@given(
    ladders(),
    st.sampled_from(sorted(SPELLINGS)),
    st.sampled_from(["soon", "-1", "NaN", "1,5", "5 %", "1e3x", [1, 2], {"a": 1}, True, "{{plot_1}}"]),
    st.data(),
)
def test_entry_with_one_level_that_cannot_be_read_is_refused_by_its_name(
    ladder: tuple[bool, list[Rung]], spelling: str, wrong: Any, data: st.DataObject
) -> None:
    long, rungs = ladder
    place = data.draw(st.integers(0, len(rungs) - 1))
    broken = [
        ("price", wrong, share) if n == place else (kind, value, share) for n, (kind, value, share) in enumerate(rungs)
    ]
    fields = SPELLINGS[spelling](broken)
    reading = read(json.dumps({"action": "long" if long else "short", "symbol": "BTCUSDT.P"} | fields))
    assert reading.errors
    names = {name.lower() for name in fields} | {"take_profit", "order"}
    assert any(error.field.lower().partition(".")[0] in names for error in reading.errors), reading.errors


@given(ladders(), st.integers(0, 9))
def test_parts_of_more_than_the_whole_are_refused(ladder: tuple[bool, list[Rung]], place: int) -> None:
    _, rungs = ladder
    over = [
        (kind, value, "100.01" if n == place % len(rungs) else share) for n, (kind, value, share) in enumerate(rungs)
    ]
    body = {"action": "long", "symbol": "BTCUSDT.P"} | SPELLINGS["tp1"](over)
    assert f"tp{place % len(rungs) + 1}_share" in {error.field for error in read(json.dumps(body)).errors}
