"""Reads a Parquet file of quotes or of bars, with the columns that a CSV file has. It needs pyarrow, the extra `parquet`."""

import importlib
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

from vantixs.model.decimals import format_decimal

from vantixs_router.domain.replay import Tick
from vantixs_router.quote_sources.csv_rows import EXPECTED, HEADERS, MOST_QUOTES, FileError, Options, ticks_of_rows

_ROWS_AT_ONCE = 10_000


def read_parquet_ticks(content: bytes, options: Options) -> list[Tick]:
    """The quotes of a file, their times counted from its first.

    Columns of other names are not read. Times are timestamps with a zone (of which fractions of a microsecond are left out), text
    or numbers as in CSV; prices and sizes are decimals, text or numbers. A float is taken as the shortest decimal that it is
    read from, which is what was written where it has at most 15 digits.

    Raises:
        FileError: pyarrow is not installed; a row cannot be read; the file holds no quote or too many.
    """
    try:
        arrow, parquet = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise FileError(
            "expected pyarrow for a Parquet file, was none: install vantixs-signals[parquet], or pyarrow"
        ) from None
    try:
        # No memory map, and no threads: it is read once, at the start.
        file = parquet.ParquetFile(arrow.BufferReader(content))
    except (arrow.ArrowException, OSError) as error:
        raise FileError(f"expected Parquet, was: {_line(error)}") from None
    names = set(file.schema_arrow.names)
    header = next((each for each in sorted(HEADERS, key=len, reverse=True) if names.issuperset(each)), None)
    if header is None:
        raise FileError(f"expected columns {EXPECTED}, was {','.join(file.schema_arrow.names)[:80]!r}")
    if file.metadata.num_rows > MOST_QUOTES:
        raise FileError(f"expected at most {MOST_QUOTES} rows, was {file.metadata.num_rows}")
    try:
        return ticks_of_rows(header, _ParquetRows(arrow, file, header), options)
    except (arrow.ArrowException, OSError) as error:
        raise FileError(f"expected Parquet, was: {_line(error)}") from None


class _ParquetRows:
    """The rows as the texts of a CSV file. They are numbered as there: the first after the header is 2."""

    def __init__(self, arrow: Any, file: Any, header: tuple[str, ...]) -> None:
        self._arrow = arrow
        self._file = file
        self._header = header
        self.line_num = 1

    def __iter__(self) -> Iterator[list[str]]:
        for batch in self._file.iter_batches(_ROWS_AT_ONCE, columns=list(self._header), use_threads=False):
            for row in zip(*(self._values(batch.column(name)) for name in self._header), strict=True):
                self.line_num += 1
                yield [self._text(name, value) for name, value in zip(self._header, row, strict=True)]

    def _values(self, column: Any) -> list[Any]:
        kind = column.type
        if self._arrow.types.is_timestamp(kind):
            # Nanoseconds would need pandas.
            column = column.cast(self._arrow.timestamp("us", kind.tz), safe=False)
        values: list[Any] = column.to_pylist()
        return values

    def _text(self, name: str, value: Any) -> str:
        if value is None:
            return ""
        if isinstance(value, datetime):
            return value.isoformat()
        if isinstance(value, float):
            value = Decimal(repr(value))
        if isinstance(value, Decimal):
            return format_decimal(value) if value.is_finite() else str(value)
        if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
            return str(value).strip()
        raise FileError(f"row {self.line_num}: {name}: expected text, a number or a time, was {type(value).__name__}")


def _line(error: Exception) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
