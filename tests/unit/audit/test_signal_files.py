"""Files of exported signals: whole, for their owner alone, and harmless in a spreadsheet."""

import csv
import json
import re
import stat
from datetime import UTC, datetime, timedelta
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st
from vantixs.api.audit.v1 import audit_pb2
from vantixs.api.common.v1 import common_pb2
from vantixs.api.ingress.v1 import webhook_pb2
from vantixs.runtime.settings import SettingsError
from vantixs_console.commands.exports import time_of
from vantixs_console.signal_files import ROW_GROUP, Csv, Fixture, JsonLines, Parquet, harmless, whole_file

AT = datetime(2026, 11, 27, 8, 0, 1, 500000, tzinfo=UTC)


def response(signal_id: str = "s1", detail: str = "") -> audit_pb2.ExportSignalsResponse:
    made = audit_pb2.ExportSignalsResponse()
    made.signal.signal_id, made.signal.detail, made.signal.filled_quantity = signal_id, detail, "-0.5"
    made.signal.status = common_pb2.SIGNAL_STATUS_EXECUTED
    made.signal.receive_time.FromDatetime(AT)
    made.signal.sequence = 7
    return made


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("+1+cmd", "'+1+cmd"),
        ("-2+3", "'-2+3"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("\n=1", "'\n=1"),
        ("＝1+1", "'＝1+1"),
        ("-0.5", "-0.5"),
        ("+12", "+12"),
        ("-1\n", "'-1\n"),
        ("", ""),
        ("a=b", "a=b"),
    ],
)
def test_cell_is_no_formula(cell: str, written: str) -> None:
    assert harmless(cell) == written


def test_csv_has_a_row_a_signal() -> None:
    file = BytesIO()
    writer = Csv(file)
    writer.put(response(detail='=1, "quoted"\nsecond line'))
    writer.put(response("s2"))
    writer.close()
    rows = list(csv.DictReader(StringIO(file.getvalue().decode())))
    assert [row["signal_id"] for row in rows] == ["s1", "s2"]
    assert rows[0]["detail"] == '\'=1, "quoted"\nsecond line'
    assert rows[0]["filled_quantity"] == "-0.5"
    assert (rows[0]["status"], rows[0]["receive_time"]) == ("EXECUTED", "2026-11-27T08:00:01.500000Z")
    assert (rows[0]["action"], rows[0]["update_time"]) == ("", "")


TEXTS = st.text(
    st.one_of(st.sampled_from("=+-@,;\"'\t\r\n\x00\x0b\x85\u2028"), st.characters(exclude_categories=("Cs",)))
)


@given(st.lists(st.tuples(TEXTS, TEXTS, st.from_regex(r"[-+]?[0-9]{1,5}(\.[0-9]{1,4})?", fullmatch=True))))
def test_csv_is_read_as_it_was_written(rows: list[tuple[str, str, str]]) -> None:
    file = BytesIO()
    writer = Csv(file)
    for comment, symbol, quantity in rows:
        made = audit_pb2.ExportSignalsResponse()
        made.signal.comment, made.signal.symbol, made.signal.filled_quantity = comment, symbol, quantity
        assert writer.put(made)
    found = list(csv.DictReader(StringIO(file.getvalue().decode(), newline="")))
    assert [(row["comment"], row["symbol"], row["filled_quantity"]) for row in found] == [
        (harmless(comment), harmless(symbol), quantity) for comment, symbol, quantity in rows
    ]
    for row in found:
        for cell in (row["comment"], row["symbol"]):
            assert re.fullmatch(r"[-+]?[0-9]+(\.[0-9]+)?", cell) or not cell.startswith(tuple("=+-@\t\r\n"))


def test_csv_row_is_not_split_by_a_carriage_return() -> None:
    """A reader that takes any line end outside of quotes for the end of a row sees one row."""
    file = BytesIO()
    writer = Csv(file)
    writer.put(response(detail="hi\r=cmd|'/C calc'!A0"))
    row = file.getvalue().decode().split("\n")[1]
    outside = "".join(row.split('"')[::2])
    assert "\r" not in outside
    assert "-0.5" in outside, "a number is not quoted"


def test_parquet_has_the_rows_and_types() -> None:
    file = BytesIO()
    writer = Parquet(file)
    for number in range(ROW_GROUP + 1):
        writer.put(response(f"s{number}", "=1"))
    writer.close()
    found = pyarrow.parquet.ParquetFile(BytesIO(file.getvalue()))
    assert (found.metadata.num_rows, found.metadata.num_row_groups) == (ROW_GROUP + 1, 2)
    row = found.read_row_group(1).to_pylist()[0]
    assert (row["signal_id"], row["receive_time"], row["sequence"]) == (f"s{ROW_GROUP}", AT, 7)
    assert (row["status"], row["update_time"], row["detail"]) == ("EXECUTED", None, "=1")


def test_fixture_has_what_a_replay_needs_and_no_secret() -> None:
    made = response()
    made.signal.status, made.signal.original_status = (
        common_pb2.SIGNAL_STATUS_REPLAYED,
        common_pb2.SIGNAL_STATUS_REJECTED,
    )
    made.signal.reason, made.signal.stage = "NOTHING_TO_CLOSE", "intent"
    event = made.timeline.add().entry.signal_accepted
    event.request.payload, event.request.source_address = b'{"token": "[redacted]"}', "52.89.214.238"
    event.webhook.webhook_id = "demo"
    event.webhook.tokens.add()
    event.webhook.signing_secrets.add()
    made.timeline.add().entry.signal_accepted.request.payload = b"another"
    made.timeline.add().entry.signal_completed.inputs.SetInParent()
    file = BytesIO()
    writer = Fixture(file)
    assert writer.put(made)
    assert not writer.put(response("without a beginning"))
    writer.close()
    (line,) = file.getvalue().decode().splitlines()
    found = json.loads(line)
    assert (found["status"], found["reason"], found["stage"]) == ("REJECTED", "NOTHING_TO_CLOSE", "intent")
    assert found["payload"] == '{"token": "[redacted]"}'
    assert found["webhook"] == {"webhook_id": "demo"}
    assert "52.89" not in line
    assert webhook_pb2.Webhook(webhook_id="demo") == webhook_pb2.Webhook(**found["webhook"])


def ended(**fields: Any) -> audit_pb2.ExportSignalsResponse:
    made = response()
    made.timeline.add().entry.signal_accepted.SetInParent()
    made.timeline.add().entry.signal_completed.inputs.SetInParent()
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def test_fixture_has_only_what_a_replay_can_verify() -> None:
    whole, rejected, repeated, running, earlier, lost, undecided, amended = (ended() for _ in range(8))
    rejected.timeline[0].entry.signal_rejected.reason = "SYMBOL_UNSUPPORTED"
    repeated.timeline[0].entry.duplicate_suppressed.rule = "key"
    del running.timeline[1]
    earlier.timeline[1].entry.signal_completed.ClearField("inputs")
    lost.entries_not_kept = True
    undecided.timeline.insert(1, audit_pb2.RecordedEntry())
    undecided.timeline[1].entry.order_evaluated.decision.quantity = "1"
    amended.timeline[0].entry.signal_accepted.signal.action = common_pb2.ACTION_AMEND
    file = BytesIO()
    writer = Fixture(file)
    assert writer.put(whole)
    for left_out in (rejected, repeated, running, earlier, lost, undecided, amended):
        assert not writer.put(left_out)
    assert len(file.getvalue().splitlines()) == 1


def test_line_says_that_entries_are_not_kept() -> None:
    file = BytesIO()
    writer = JsonLines(file)
    writer.put(ended())
    writer.put(ended(entries_not_kept=True))
    first, second = (json.loads(line) for line in file.getvalue().splitlines())
    assert "entries_not_kept" not in first
    assert second["entries_not_kept"] is True


@pytest.mark.parametrize("path", [".", "/", "..", ""])
def test_directory_is_refused_in_one_line(path: str) -> None:
    with pytest.raises(SettingsError, match="--output: expected a file that can be written, was a directory"):
        whole_file(Path(path)).__enter__()


def test_json_lines_are_one_object_each() -> None:
    file = BytesIO()
    writer = JsonLines(file)
    made = response(detail="ü\nx")
    made.proof.checkpoint = "note"
    made.proof.entries.add(sequence=1, data=b"data", hashes=[b"h" * 32])
    writer.put(made)
    writer.put(response("s2"))
    first, second = (json.loads(line) for line in file.getvalue().decode().splitlines())
    assert (first["signal"]["detail"], first["proof"]["signal_id"]) == ("ü\nx", "s1")
    assert second.keys() == {"signal"}


def test_file_is_there_once_all_of_it_is(tmp_path: Path) -> None:
    path = tmp_path / "signals.jsonl"
    path.write_text("before")
    writing = whole_file(path)
    writing.__enter__().write(b"half")
    assert writing.__exit__(RuntimeError, RuntimeError(), None) is False
    assert path.read_text() == "before"
    with whole_file(path) as file:
        file.write(b"all")
        assert path.read_text() == "before"
    assert path.read_text() == "all"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [found.name for found in tmp_path.iterdir()] == ["signals.jsonl"]
    with pytest.raises(SettingsError, match="--output: expected a file that can be written"), whole_file(path / "x"):
        pass


def test_time_is_given_as_itself_or_as_how_long_ago_it_is() -> None:
    assert time_of("since", "90m", AT) == AT - timedelta(minutes=90)
    assert time_of("since", "2w", AT) == AT - timedelta(weeks=2)
    assert time_of("since", "2026-11-27T09:00+01:00", AT) == datetime(2026, 11, 27, 8, tzinfo=UTC)
    assert time_of("since", "2026-11-27", AT) == datetime(2026, 11, 27, tzinfo=UTC)
    for wrong in ("", "yesterday", "5", "-5h", "999999w", "0001-01-01T00:00+10:00"):
        with pytest.raises(SettingsError, match="--since: expected a time"):
            time_of("since", wrong, AT)
