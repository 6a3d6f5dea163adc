"""A spool that an earlier commit wrote is taken over: what waits is sent, and repeats are still recognised."""

import re
import sqlite3
from pathlib import Path

import pytest
from vantixs.runtime.lifecycle import StartupError
from vantixs_ingress.spool.deduplication import DeduplicationKey
from vantixs_ingress.spool.store import VERSION, Item, Message, SpoolFile

from tests.support.paths import DATA

DUMPS = DATA / "schemas" / "ingress"
EARLIER = sorted(DUMPS.glob("*.sql"))
HOUR_MS = 3_600_000


def restored(dump: Path, directory: Path) -> Path:
    path = directory / "spool"
    connection = sqlite3.connect(path)
    connection.executescript(dump.read_text())
    connection.close()
    return path


def schema_of(path: Path) -> list[tuple[str, ...]]:
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT type, name, sql FROM sqlite_master ORDER BY name").fetchall()
    connection.close()
    # A table that was renamed and made anew reads the same but for its white space.
    return [tuple(re.sub(r"\s+", " ", str(value)) for value in row) for row in rows]


def waiting_in(path: Path) -> list[tuple[int, str, bytes]]:
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT sequence, message_id, payload FROM spool ORDER BY sequence").fetchall()
    connection.close()
    return rows


@pytest.mark.parametrize("dump", EARLIER, ids=lambda path: path.stem)
def test_spool_of_an_earlier_commit_keeps_what_waits_and_takes_more(
    dump: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    SpoolFile(tmp_path / "fresh").close()
    path = restored(dump, tmp_path)
    waiting = waiting_in(path)
    assert len(waiting) == 2
    file = SpoolFile(path)
    assert [(n, m.message_id, m.payload) for n, m in file.after(0, 100)] == waiting
    assert [name for name, _, _ in file.webhooks()] == ["demo"]
    # A key, a short window and a long one are claimed as in a new spool.
    claims = [
        DeduplicationKey(b"k1", "k1", b"f1", 1),
        DeduplicationKey(b"w1", "s1", b"f2", 1, 20_000),
        DeduplicationKey(b"w2", "s2", b"f3", 1, HOUR_MS),
    ]
    stored, _ = file.write([Item(Message("s", b"", claim.signal_id), claim) for claim in claims], [])
    assert [s.sequence for s in stored] == [waiting[-1][0] + n for n in (1, 2, 3)]
    file.close()
    assert schema_of(path) == schema_of(tmp_path / "fresh")
    again = SpoolFile(path)
    stored, _ = again.write([Item(Message("s", b"", claim.signal_id), claim) for claim in claims], [])
    assert [s.rule for s in stored] == ["idempotency_key", "same_bytes", "same_bytes"]
    again.close()
    assert capsys.readouterr().out.count("spool.migrated") == 1


@pytest.mark.parametrize("dump", EARLIER, ids=lambda path: path.stem)
def test_key_that_an_earlier_commit_claimed_is_still_claimed(dump: Path, tmp_path: Path) -> None:
    path = restored(dump, tmp_path)
    keyed = [message_id.partition(":")[0] for _, message_id, _ in waiting_in(path) if message_id.startswith("k")]
    assert len(keyed) == 1
    connection = sqlite3.connect(path)
    table = "keys" if dump.name.startswith("0-") else "claims"
    query = f"SELECT fingerprint FROM {table} WHERE signal_id = ?"
    fingerprint = connection.execute(query, (keyed[0],)).fetchone()[0]
    connection.close()
    file = SpoolFile(path)
    claim = DeduplicationKey(keyed[0].encode(), keyed[0], fingerprint, 1)
    (stored,), messages = file.write([Item(Message("s", b"", "again"), claim)], [])
    assert (stored.signal_id, stored.rule, stored.conflict, messages) == (keyed[0], "idempotency_key", False, [])
    file.close()


@pytest.mark.parametrize("dump", [path for path in EARLIER if path.name.startswith("1-")], ids=lambda path: path.stem)
def test_window_that_an_earlier_commit_opened_is_still_open(dump: Path, tmp_path: Path) -> None:
    path = restored(dump, tmp_path)
    connection = sqlite3.connect(path)
    table = "claims" if dump.stem == "1-8668779" else "windows"
    query = (
        f"SELECT claim, fingerprint, signal_id, receive_ms, window_ms FROM {table} WHERE window_ms > 0 ORDER BY number"
    )
    windows = connection.execute(query).fetchall()
    connection.close()
    assert len(windows) > 1
    file = SpoolFile(path)
    for claim, fingerprint, signal_id, receive_ms, window_ms in windows:
        asked = DeduplicationKey(claim, "another", fingerprint, receive_ms + 1, window_ms)
        (stored,), _ = file.write([Item(Message("s", b"", "again"), asked)], [])
        assert (stored.signal_id, stored.rule) == (signal_id, "same_bytes")
    file.close()


def test_spool_of_a_later_version_is_refused(tmp_path: Path) -> None:
    SpoolFile(tmp_path / "spool").close()
    connection = sqlite3.connect(tmp_path / "spool")
    connection.execute(f"PRAGMA user_version={VERSION + 1}")
    connection.close()
    with pytest.raises(StartupError, match=f"expected version {VERSION} or older, was {VERSION + 1}"):
        SpoolFile(tmp_path / "spool")
