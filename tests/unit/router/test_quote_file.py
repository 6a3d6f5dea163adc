"""Rows of a file of quotes: what is read from them, and what is said about one that cannot be."""

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from vantixs.runtime.lifecycle import StartupError
from vantixs_router.domain.replay import Tick
from vantixs_router.quote_sources.csv_rows import FileError, Options, read_ticks
from vantixs_router.quote_sources.file import read_quote_file
from vantixs_router.quote_sources.parquet_rows import read_parquet_ticks
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
    not_parquet = tmp_path / "not.parquet"
    not_parquet.write_text(made.read_text())
    settings = replace(RouterSettings(), quote_file=str(made))
    for changed, says in (
        ({"quote_file": str(tmp_path / "none.csv")}, "expected a file that can be read, was: No such file"),
        ({"quote_file": str(not_parquet)}, "not.parquet: expected Parquet, was: "),
        ({"quote_file_start": "noon"}, "setting quote_file_start: expected a time as"),
    ):
        with pytest.raises(StartupError, match=says):
            read_quote_file(replace(settings, **changed))  # type: ignore[arg-type]
    one = read_quote_file(settings)
    other = read_quote_file(replace(settings, quote_file_speed=Decimal(2)))
    assert one is not None
    assert other is not None
    assert one.identity != other.identity


def parquet(tmp_path: Path, **columns: object) -> bytes:
    path = tmp_path / "made.parquet"
    pq.write_table(pa.table(columns), path)
    return path.read_bytes()


MOMENTS = [datetime(2026, 1, 1, 0, 0, second, 500_000, tzinfo=UTC) for second in (0, 1)]


@pytest.mark.parametrize(
    "times",
    [
        pa.array(MOMENTS, pa.timestamp("us", "UTC")),
        pa.array(MOMENTS, pa.timestamp("ns", "Europe/Berlin")),
        pa.array([int(moment.timestamp() * 1000) for moment in MOMENTS], pa.int64()),
        pa.array([moment.isoformat() for moment in MOMENTS]),
    ],
    ids=["us", "ns", "ms", "text"],
)
@pytest.mark.parametrize(
    "prices",
    [
        pa.array([0.1, 64000.01], pa.float64()),
        pa.array([Decimal("0.10000"), Decimal("64000.01000")], pa.decimal128(20, 5)),
        pa.array(["0.1", "64000.01"]).dictionary_encode(),
    ],
    ids=["float", "decimal", "text"],
)
def test_parquet_says_what_csv_says(tmp_path: Path, times: pa.Array, prices: pa.Array) -> None:
    content = parquet(
        tmp_path, volume=[1, 2], time=times, instrument=["BTC/USDT", "ETH/USDT"], bid=prices, ask=prices,
        ask_size=[None, 2], bid_size=[0.00001, None],
    )  # fmt: skip
    rows = [f"{moment.isoformat()},{row}" for moment, row in zip(
        MOMENTS, ("BTC/USDT,0.1,0.1,0.00001,", "ETH/USDT,64000.01,64000.01,,2"), strict=True
    )]  # fmt: skip
    assert read_parquet_ticks(content, PLAIN) == read("time,instrument,bid,ask,bid_size,ask_size\n" + "\n".join(rows))


def test_bars_of_parquet_are_those_of_csv(tmp_path: Path) -> None:
    content = parquet(
        tmp_path, time=[FIRST, SECOND], instrument=["BTC/USDT"] * 2, open=[100, 100], high=[104.5, 104.5],
        low=[98, 98], close=[101, 103],
    )  # fmt: skip
    text = f"{BARS}{FIRST},BTC/USDT,100,104.5,98,101\n{SECOND},BTC/USDT,100,104.5,98,103\n"
    assert read_parquet_ticks(content, PLAIN) == read(text)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"time": [datetime(2026, 1, 1)]}, "row 2: time: expected a time as"),  # noqa: DTZ001 - without a zone
        ({"time": [date(2026, 1, 1)]}, "row 2: time: expected text, a number or a time, was date"),
        ({"time": [None]}, "row 2: time: expected a time as"),
        ({"bid": [float("nan")]}, "row 2: bid: expected digits"),
        ({"bid": [None]}, "row 2: bid: expected digits"),
        ({"bid": [3.0]}, "row 2: expected 0 < bid <= ask, was bid 3, ask 2"),
        ({"bid": [True]}, "row 2: bid: expected text, a number or a time, was bool"),
        ({"instrument": ["BTC/FOO"]}, "row 2: instrument: expected one of the catalogue"),
        ({"price": [1], "bid": None}, "expected columns time,instrument,bid,ask or "),
        (dict.fromkeys(("time", "instrument", "bid", "ask"), pa.array([], pa.string())), "expected at least one row"),
    ],
)
def test_what_cannot_be_read_of_parquet_is_said(tmp_path: Path, changed: dict[str, object], says: str) -> None:
    columns = {"time": [FIRST], "instrument": ["BTC/USDT"], "bid": [1.0], "ask": [2.0]} | changed
    content = parquet(tmp_path, **{name: column for name, column in columns.items() if column is not None})
    with pytest.raises(FileError) as raised:
        read_parquet_ticks(content, PLAIN)
    assert says in str(raised.value)


def test_parquet_that_is_cut_short_or_has_too_many_rows_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = parquet(tmp_path, time=[FIRST], instrument=["BTC/USDT"], bid=[1], ask=[1])
    for bad in (b"", content[:-9], content[:4] + b"\xff" * 8 + content[12:]):
        with pytest.raises(FileError, match=r"expected Parquet, was: |row 2"):
            read_parquet_ticks(bad, PLAIN)
    monkeypatch.setattr("vantixs_router.quote_sources.parquet_rows.MOST_QUOTES", 0)
    with pytest.raises(FileError, match="expected at most 0 rows, was 1"):
        read_parquet_ticks(content, PLAIN)


def test_parquet_without_pyarrow_names_the_extra_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(FileError, match=r"install vantixs-signals\[parquet\]"):
        read_parquet_ticks(b"", PLAIN)


def test_pyarrow_is_loaded_for_a_parquet_file_alone() -> None:
    code = "import sys, vantixs_router.main; sys.exit('pyarrow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
