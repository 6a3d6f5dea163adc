"""Files of exported signals: JSON lines, CSV, Parquet, and fixtures for replays; whole or not there, for their owner alone."""

import base64
import contextlib
import importlib
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC
from pathlib import Path
from typing import IO, Any, Protocol

from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from vantixs.api.audit.v1 import audit_pb2
from vantixs.api.common.v1 import common_pb2
from vantixs.api.ingress.v1 import webhook_pb2
from vantixs.api.journal.v1 import journal_pb2
from vantixs.proof.signal_proof import ProvenEntry, write_proof
from vantixs.runtime.settings import SettingsError

from vantixs_console.timeline import short_name

FIXTURE = "vantixs-fixture/1"
ROW_GROUP = 10_000
_NUMBER = re.compile(r"[-+]?[0-9]+(\.[0-9]+)?\Z")
# What begins a formula, also in its full-width form, and what a spreadsheet skips before one.
_FORMULA = tuple("=+-@\t\r\n＝＋－＠")
_TIME = "google.protobuf.Timestamp"
# What of a webhook's configuration is a secret or made of one.
_SECRET_FIELDS = ("tokens", "signing_secrets")


class Writer(Protocol):
    """Writes signals into an open file."""

    def put(self, response: audit_pb2.ExportSignalsResponse) -> bool:
        """Writes one signal; returns whether it is in the file."""

    def close(self) -> None:
        """Writes what is left."""


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes its name only once all of it is written and on disk, mode 0600; one of that name is replaced.

    Raises:
        SettingsError: it cannot be written.
    """
    check_output(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise SettingsError(f"--output: expected a file that can be written, {error.strerror}: {path}") from None


def check_output(path: Path) -> None:
    """Raises SettingsError where the path is a directory, and so cannot become a file."""
    if not path.name or path.is_dir():
        raise SettingsError(f"--output: expected a file that can be written, was a directory: {path}")


class JsonLines:
    """One object a line: `signal`, and `timeline` and `proof` where they were asked for.

    `entries_not_kept` is there, and true, where retention deleted entries of the signal: the timeline has only the later ones,
    or is not there, and there is no proof.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def put(self, response: audit_pb2.ExportSignalsResponse) -> bool:
        """Writes one line."""
        line: dict[str, Any] = {"signal": _plain(response.signal)}
        if response.timeline:
            line["timeline"] = [_plain(recorded) for recorded in response.timeline]
        if response.HasField("proof"):
            proof = response.proof
            entries = [ProvenEntry(entry.sequence, entry.data, list(entry.hashes)) for entry in proof.entries]
            line["proof"] = json.loads(write_proof(response.signal.signal_id, proof.checkpoint, entries))
        if response.entries_not_kept:
            line["entries_not_kept"] = True
        _write_line(self._file, line)
        return True

    def close(self) -> None:
        """Nothing is left."""


class Csv:
    """One row a signal, with a header. A cell that a spreadsheet would take for a formula begins with an apostrophe.

    Every text is quoted: a carriage return outside of quotes would begin another row.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._write([name for name, _ in COLUMNS])

    def put(self, response: audit_pb2.ExportSignalsResponse) -> bool:
        """Writes one row."""
        self._write([_cell(_text(read(response.signal))) for _, read in COLUMNS])
        return True

    def _write(self, cells: list[str]) -> None:
        self._file.write((",".join(cells) + "\n").encode())

    def close(self) -> None:
        """Nothing is left."""


class Parquet:
    """One row a signal, the columns of CSV; times are timestamps (UTC, microseconds), counts are integers.

    Raises:
        SettingsError: pyarrow is not installed.
    """

    def __init__(self, file: IO[bytes]) -> None:
        try:
            self._arrow, parquet = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
        except ImportError:
            detail = "--format: expected pyarrow for parquet, was none: install vantixs-signals[parquet], or pyarrow"
            raise SettingsError(detail) from None
        fields = audit_pb2.SignalSummary.DESCRIPTOR.fields
        self._schema = self._arrow.schema([(field.name, self._type(field)) for field in fields])
        self._writer = parquet.ParquetWriter(file, self._schema, compression="zstd")
        self._rows: list[list[Any]] = []

    def put(self, response: audit_pb2.ExportSignalsResponse) -> bool:
        """Writes one row, with 10,000 others."""
        self._rows.append([read(response.signal) for _, read in COLUMNS])
        if len(self._rows) >= ROW_GROUP:
            self._flush()
        return True

    def close(self) -> None:
        """Writes the rows that are left, and the footer."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._rows:
            columns = [list(column) for column in zip(*self._rows, strict=True)]
            arrays = [self._arrow.array(c, f.type) for c, f in zip(columns, self._schema, strict=True)]
            self._writer.write_table(self._arrow.Table.from_arrays(arrays, schema=self._schema))
            self._rows.clear()

    def _type(self, field: Any) -> Any:
        if field.message_type is not None and field.message_type.full_name == _TIME and not field.is_repeated:
            return self._arrow.timestamp("us", tz="UTC")
        whole = (FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_INT64)
        return self._arrow.int64() if field.cpp_type in whole and not field.is_repeated else self._arrow.string()


class Fixture:
    """What a replay in CI needs of each signal: payload, the webhook's settings that were in force, and how it ended.

    Payloads are as history has them, with secrets redacted, and opened where they were sealed; where that cannot be done, the
    line says why. Tokens and signing secrets of the webhook are left out, and so is where it came from. A signal that a VERIFY
    replay cannot decide again is left out.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def put(self, response: audit_pb2.ExportSignalsResponse) -> bool:
        """Writes one line; false for a signal that is left out."""
        signal = response.signal
        accepted = _verifiable([recorded.entry for recorded in response.timeline])
        if accepted is None or response.entries_not_kept:
            return False
        status = signal.original_status or signal.status
        request = accepted.request
        line = {
            "format": FIXTURE,
            "signal_id": signal.signal_id,
            "status": short_name(common_pb2.SignalStatus.Name(status)),
            "stage": signal.stage,
            "reason": signal.reason,
            "receive_time": request.receive_time.ToJsonString(),
            "content_type": request.content_type,
            **_payload(request.payload, response.payload_unreadable),
            "webhook": _settings(accepted.webhook),
        }
        _write_line(self._file, line)
        return True

    def close(self) -> None:
        """Nothing is left."""


FORMATS: dict[str, Callable[[IO[bytes]], Writer]] = {"jsonl": JsonLines, "csv": Csv, "parquet": Parquet}


def harmless(cell: str) -> str:
    """The cell, which no spreadsheet takes for a formula; a number stays one."""
    return f"'{cell}" if cell.startswith(_FORMULA) and not _NUMBER.match(cell) else cell


def _verifiable(entries: Sequence[journal_pb2.JournalEntry]) -> journal_pb2.SignalAccepted | None:
    """How the signal was accepted; None where its decisions cannot be made again.

    That is a signal that ingress rejected or recorded as a repeat, an amendment of an order, or a signal that has not ended, or
    whose inputs were not recorded.
    """
    accepted: journal_pb2.SignalAccepted | None = None
    for entry in entries:
        match entry.WhichOneof("event"):
            case "signal_accepted":
                accepted = accepted or entry.signal_accepted
            case "order_evaluated" if not entry.order_evaluated.order.entry_order_id:
                if not entry.order_evaluated.decision.inputs:
                    return None
            case "signal_completed":
                if accepted and accepted.signal.action == common_pb2.ACTION_AMEND:
                    return None
                return accepted if entry.signal_completed.HasField("inputs") else None
    return None


def _cell(text: str) -> str:
    """The text as a cell of CSV: numbers and nothing as they are, anything else in quotes."""
    if not text or _NUMBER.match(text):
        return text
    return '"' + harmless(text).replace('"', '""') + '"'


def _settings(webhook: webhook_pb2.Webhook) -> Any:
    kept = webhook_pb2.Webhook()
    kept.CopyFrom(webhook)
    for name in _SECRET_FIELDS:
        kept.ClearField(name)
    return _plain(kept)


def _payload(payload: bytes, unreadable: str) -> dict[str, str]:
    if unreadable:
        return {"payload_unreadable": unreadable}
    try:
        return {"payload": payload.decode()}
    except UnicodeDecodeError:
        return {"payload_base64": base64.b64encode(payload).decode()}


def _plain(message: Any) -> Any:
    return json_format.MessageToDict(message, preserving_proto_field_name=True)


def _shown(message: Any) -> str:
    plain = _plain(message)
    return plain if isinstance(plain, str) else json.dumps(plain)


def _write_line(file: IO[bytes], line: Any) -> None:
    file.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")


def _reader(field: Any) -> Callable[[audit_pb2.SignalSummary], Any]:
    name, enum = field.name, field.enum_type
    if field.is_repeated:
        return lambda signal: json.dumps(_plain(signal).get(name, []))
    if field.message_type is not None:
        if field.message_type.full_name == _TIME:
            return lambda signal: getattr(signal, name).ToDatetime(tzinfo=UTC) if signal.HasField(name) else None
        return lambda signal: _shown(getattr(signal, name)) if signal.HasField(name) else None
    if enum is not None:
        names = {value.number: short_name(value.name) if value.number else "" for value in enum.values}
        return lambda signal: names.get(getattr(signal, name), str(getattr(signal, name)))
    if field.cpp_type in (FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_INT64):
        return lambda signal: getattr(signal, name)
    return lambda signal: str(getattr(signal, name))


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value.isoformat().replace("+00:00", "Z") if hasattr(value, "isoformat") else str(value)


COLUMNS = [(field.name, _reader(field)) for field in audit_pb2.SignalSummary.DESCRIPTOR.fields]
