"""Rows of a file of quotes: what is read from them, and what is said about one that cannot be."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from vantixs.runtime.lifecycle import StartupError
from vantixs_router.domain.replay import Tick
from vantixs_router.quote_sources.csv_rows import FileError, Options, read_ticks
from vantixs_router.quote_sources.file import read_quote_file
from vantixs_router.settings import RouterSettings

PLAIN = Options(0, Decimal(0))
TICKS = "time,instrument,bid,ask\n"
BARS = "time,instrument,open,high,low,close\n"
FIRST, SECOND, BEFORE = "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z", "2025-12-31T23:59:59Z"


def read(text: str, options: Options = PLAIN) -> list[Tick]:
    return read_ticks(text.encode(), options)


def test_quotes_with_sizes_and_every_form_of_time() -> None:
    text = "time, instrument, bid, ask, bid_size, ask_size\r\n"
    text += "1767225600,BTC/USDT,100,101,2.5,\r\n\r\n1767225600500,ETH/USDT,9,9,,\r\n2026-01-01T01:00:01+01:00,BTC/USDT,102,103,,1\r\n"
    assert read("\ufeff" + text) == [
        Tick(0, "BTC/USDT", "100", "101", "2.5", ""),
        Tick(500_000, "ETH/USDT", "9", "9"),
        Tick(1_000_000, "BTC/USDT", "102", "103", "", "1"),
    ]


def test_bar_is_open_low_high_close_in_quarters_of_the_least_distance() -> None:
    rows = [f"{time},BTC/USDT,100,104,98,{close}" for time, close in ((FIRST, 101), (SECOND, 103), ("1767225780", 99))]
    ticks = read(BARS + "\n".join(rows))
    assert [(t.at_us // 1_000_000, t.bid) for t in ticks] == [
        (0, "100"), (15, "98"), (30, "104"), (45, "101"),
        (60, "100"), (75, "98"), (90, "104"), (105, "103"),
        (180, "100"), (195, "98"), (210, "104"), (225, "99"),
    ]  # fmt: skip
    assert all(t.bid == t.ask for t in ticks)


def test_length_and_spread_of_bars_are_settings() -> None:
    ticks = read(f"{BARS}{FIRST},BTC/USDT,100,100,100,100\n", Options(8_000_000, Decimal(10)))
    assert [t.at_us for t in ticks] == [0, 2_000_000, 4_000_000, 6_000_000]
    assert {(t.bid, t.ask) for t in ticks} == {("99.95", "100.05")}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "row 1: expected time,instrument,bid,ask or "),
        ("time,bid\n", "was 'time,bid'"),
        (TICKS, "expected at least one row of quotes, was none"),
        (f"{TICKS}{FIRST},BTC/USDT,1\n", "row 2: expected 4 fields, was 3"),
        (f"{TICKS}{FIRST},BTC/USDT,1,2\n{FIRST},BTC/FOO,1,2\n", "row 3: instrument: expected one of the catalogue, was 'BTC/FOO'"),
        (f"{TICKS}yesterday,BTC/USDT,1,2\n", "row 2: time: expected a time as 2026-01-01T00:00:00Z or in seconds since 1970, was 'yesterday'"),
        (f"{TICKS}2026-01-01T00:00:00,BTC/USDT,1,2\n", "row 2: time: expected a time as"),
        (f"{TICKS}{FIRST},BTC/USDT,1,2\n{BEFORE},BTC/USDT,1,2\n", "row 3: time: expected not before the row of BTC/USDT above it"),
        (f"{TICKS}{FIRST},BTC/USDT,1e3,2\n", "row 2: bid: expected digits with at most 18 decimals, was '1e3'"),
        (f"{TICKS}{FIRST},BTC/USDT,3,2\n", "row 2: expected 0 < bid <= ask, was bid 3, ask 2"),
        (f"time,instrument,bid,ask,bid_size,ask_size\n{FIRST},BTC/USDT,1,2,0,\n", "row 2: expected bid_size above 0 or empty"),
        (f"{TICKS}{FIRST},\"BTC/USDT,1,2\n", "expected CSV, was: unexpected end of data"),
        (f"{BARS}{FIRST},BTC/USDT,1,2,3,1\n", "row 2: expected 0 < low <= open, close <= high, was open 1, high 2, low 3, close 1"),
        (f"{BARS}{FIRST},BTC/USDT,1,2,1,\n", "row 2: close: expected digits"),
        (f"{BARS}{FIRST},BTC/USDT,1,2,1,1\n", "row 2: expected two bars of BTC/USDT or the setting quote_file_interval_s, was one"),
        (f"{BARS}{FIRST},BTC/USDT,1,2,1,1\n{FIRST},BTC/USDT,1,2,1,1\n", "row 3: time: expected one bar a time"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_said_with_row_and_field(text: str, says: str) -> None:
    with pytest.raises(FileError) as raised:
        read(text)
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)


def test_bars_that_overlap_and_bytes_that_are_no_text() -> None:
    two = f"{BARS}{FIRST},BTC/USDT,1,2,1,1\n{SECOND},BTC/USDT,1,2,1,1\n"
    with pytest.raises(FileError, match="row 3: time: expected 90 s after the bar before, was 60 s"):
        read(two, Options(90_000_000, Decimal(0)))
    with pytest.raises(FileError, match="expected a bid above 0"):
        read(f"{BARS}{FIRST},BTC/USDT,0.01,0.01,0.01,0.01\n", Options(1, Decimal(1000)))
    with pytest.raises(FileError, match="expected UTF-8, was another byte at 0"):
        read_ticks(b"\xff\x00", PLAIN)


def test_start_fails_with_one_line_about_the_file(tmp_path: Path) -> None:
    assert read_quote_file(RouterSettings()) is None
    made = tmp_path / "ticks.csv"
    made.write_text(f"{TICKS}{FIRST},BTC/USDT,1,2\n")
    settings = replace(RouterSettings(), quote_file=str(made))
    for changed, says in (
        ({"quote_file": str(tmp_path / "none.csv")}, "expected a file that can be read, was: No such file"),
        ({"quote_file": "x.parquet"}, "expected CSV, was Parquet: not built yet"),
        ({"quote_file_start": "noon"}, "setting quote_file_start: expected a time as"),
    ):
        with pytest.raises(StartupError, match=says):
            read_quote_file(replace(settings, **changed))  # type: ignore[arg-type]
    one = read_quote_file(settings)
    other = read_quote_file(replace(settings, quote_file_speed=Decimal(2)))
    assert one is not None
    assert other is not None
    assert one.identity != other.identity
