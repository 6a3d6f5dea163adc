"""The spool on a real file system: repeats, restarts, a full disk."""

import asyncio
import errno
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from vantixs.runtime.errors import ServiceError
from vantixs.runtime.journal import Message
from vantixs_ingress.spool.deduplication import LONGEST_IN_MEMORY_MS, DeduplicationKey
from vantixs_ingress.spool.lock import SpoolInUse, own_spool
from vantixs_ingress.spool.room import Bounds
from vantixs_ingress.spool.spool import Spool
from vantixs_ingress.spool.store import RECORDED_REPEATS, SpoolFile, Stored

from tests.support.until import until

ROOMY = Bounds(1 << 30)


@asynccontextmanager
async def opened(path: Path, bounds: Bounds = ROOMY) -> AsyncIterator[Spool]:
    spool = Spool(path, bounds)
    try:
        yield spool
    finally:
        await spool.close()


def message(name: str, size: int = 100) -> Message:
    return Message("vantixs.journal.v1.signal.accepted.00", b"x" * size, name)


def keyed(key: str, body: bytes = b"body") -> DeduplicationKey:
    return DeduplicationKey(key.encode(), f"signal-{key}", body, now_ms())


def windowed(body: bytes, signal_id: str, window_ms: int = 20_000, at_ms: int = 0) -> DeduplicationKey:
    return DeduplicationKey(body, signal_id, body, at_ms or now_ms(), window_ms)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def suppressed(stored: Stored) -> Message:
    return message(f"duplicate-{stored.signal_id}-{stored.repeat}")


async def names(spool: Spool) -> list[str]:
    return [m.message_id for _, m in await spool.read_after(0, 10_000)]


async def test_what_was_stored_is_there_after_a_restart_in_order(tmp_path: Path) -> None:
    async with opened(tmp_path / "spool") as spool:
        await asyncio.gather(*(spool.store(message(f"m{n}")) for n in range(500)))
    async with opened(tmp_path / "spool") as spool:
        assert await names(spool) == [f"m{n}" for n in range(500)]
        assert spool.backlog == 500
        spool.forget(1, 200, 200 * 100)
        await spool.store(message("later"))
        assert (await names(spool))[0] == "m200"
        assert spool.backlog == 301


async def test_sequences_go_on_after_everything_was_forgotten(tmp_path: Path) -> None:
    async with opened(tmp_path / "spool") as spool:
        first = await spool.store(message("a"))
        spool.forget(first.sequence, first.sequence, 100)
    async with opened(tmp_path / "spool") as spool:
        assert (await spool.store(message("b"))).sequence == first.sequence + 1


@pytest.mark.parametrize("restart", [False, True])
async def test_key_is_a_repeat_for_ever_and_other_content_a_conflict(tmp_path: Path, restart: bool) -> None:
    async with opened(tmp_path / "spool") as spool:
        first = await spool.store(message("a"), keyed("k"), suppressed)
        if not restart:
            again = await spool.store(message("b"), keyed("k"), suppressed)
            other = await spool.store(message("c"), keyed("k", b"other"), suppressed)
    if restart:
        async with opened(tmp_path / "spool") as spool:
            again = await spool.store(message("b"), keyed("k"), suppressed)
            other = await spool.store(message("c"), keyed("k", b"other"), suppressed)
    assert (first.rule, again.rule, other.rule) == ("", "idempotency_key", "idempotency_key")
    assert (again.signal_id, again.conflict, other.conflict) == ("signal-k", False, True)
    async with opened(tmp_path / "spool") as spool:
        assert await names(spool) == ["a", "duplicate-signal-k-1"]


@pytest.mark.parametrize("window_ms", [20_000, LONGEST_IN_MEMORY_MS + 1])
@pytest.mark.parametrize("restart", [False, True])
async def test_same_bytes_are_a_repeat_within_the_window_only(tmp_path: Path, restart: bool, window_ms: int) -> None:
    start = now_ms()
    async with opened(tmp_path / "spool") as spool:
        await spool.store(message("a"), windowed(b"x", "one", window_ms, start), suppressed)
        if not restart:
            await check_window(spool, start, window_ms)
    if restart:
        async with opened(tmp_path / "spool") as spool:
            await check_window(spool, start, window_ms)


async def check_window(spool: Spool, start: int, window_ms: int) -> None:
    again = await spool.store(message("b"), windowed(b"x", "two", window_ms, start + window_ms - 1), suppressed)
    assert (again.signal_id, again.rule, again.repeat) == ("one", "same_bytes", 1)
    later = await spool.store(message("c"), windowed(b"x", "three", window_ms, start + window_ms), suppressed)
    assert (later.signal_id, later.rule) == ("three", "")
    end = start + window_ms + 1
    assert (await spool.store(message("d"), windowed(b"x", "four", window_ms, end), suppressed)).signal_id == "three"


async def test_of_concurrent_repeats_one_is_new(tmp_path: Path) -> None:
    async with opened(tmp_path / "spool") as spool:
        claims = [windowed(b"x", f"s{n}") for n in range(300)] + [keyed("k") for _ in range(300)]
        stored = await asyncio.gather(*(spool.store(message(f"m{n}"), c, suppressed) for n, c in enumerate(claims)))
        assert [s.rule for s in stored].count("") == 2
        assert {s.signal_id for s in stored} == {"s0", "signal-k"}


async def test_stuck_sender_fills_neither_record_nor_spool(tmp_path: Path) -> None:
    async with opened(tmp_path / "spool") as spool:
        for _ in range(5000):
            last = spool.put(message("m"), keyed("k"), suppressed)
        assert (await last).repeat == 4999
        recorded = [n for n in range(1, 5000) if n <= RECORDED_REPEATS or n & (n - 1) == 0]
        assert await names(spool) == ["m"] + [f"duplicate-signal-k-{n}" for n in recorded]
        assert len(recorded) == 28


async def test_window_that_went_to_the_table_is_known_after_a_restart(tmp_path: Path) -> None:
    """The webhook's window is shorter now, and would be looked up in memory only."""
    at = now_ms()
    file = SpoolFile(tmp_path / "spool")
    file.write([_item(windowed(b"body", "first", LONGEST_IN_MEMORY_MS + 1, at))], [])
    file.close()
    file = SpoolFile(tmp_path / "spool")
    stored, _ = file.write([_item(windowed(b"body", "again", 20_000, at + 10_000))], [])
    file.close()
    assert (stored[0].signal_id, stored[0].rule) == ("first", "same_bytes")


async def test_claims_that_no_longer_count_are_removed(tmp_path: Path) -> None:
    file = SpoolFile(tmp_path / "spool")
    day = 86_400_000
    old, young = now_ms() - 100 * day, now_ms()
    for name, at in (("old", old), ("young", young)):
        file.write(
            [_item(DeduplicationKey(name.encode(), name, b"", at)), _item(windowed(name.encode() + b"w", name, 1, at))],
            [],
        )
    file.write([], [lambda _: file.prune(young, 90 * day)])
    assert count(file, "claims") == 1
    assert count(file, "windows") == 1
    file.write([], [lambda _: file.prune(young + 1, 90 * day)])
    assert count(file, "windows") == 0
    file.close()


def _item(claim: DeduplicationKey):  # type: ignore[no-untyped-def]
    from vantixs_ingress.spool.store import Item

    return Item(message(claim.signal_id), claim)


def count(file: SpoolFile, table: str) -> int:
    return int(file.connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


async def test_limit_refuses_before_it_is_passed_by_much_and_ends_with_what_is_forgotten(tmp_path: Path) -> None:
    async with opened(tmp_path / "spool", Bounds(100_000)) as spool:
        stored: list[Stored] = []
        refused = await store_until_refused(spool, stored, 1000)
        assert refused.reason == "STORAGE_UNAVAILABLE"
        assert 80 < len(stored) < 100
        assert "limit" in spool.problem
        spool.forget(stored[0].sequence, stored[-1].sequence, len(stored) * 1000)
        await until(lambda: not spool.problem)
        await spool.store(message("again"))
        assert await names(spool) == ["again"]


async def test_disk_that_is_nearly_full_is_refused_before_it_is(tmp_path: Path) -> None:
    found = os.statvfs(tmp_path)
    async with opened(tmp_path / "spool", Bounds(1 << 30, found.f_bavail * found.f_frsize * 2)) as spool:
        stored: list[Stored] = []
        refused = await store_until_refused(spool, stored, 100)
        assert "are free" in refused.detail
        assert len(await names(spool)) == len(stored)


async def store_until_refused(spool: Spool, stored: list[Stored], size: int) -> ServiceError:
    while True:
        try:
            stored.append(await spool.store(message(f"m{len(stored)}", size)))
        except ServiceError as error:
            return error


def fill(path: Path) -> None:
    """Takes all that is left of a disk."""
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError as error:
            assert error.errno == errno.ENOSPC


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB, where the tests may mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", place], capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"mounting is not permitted here: {done.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


async def test_full_disk_stores_nothing_half_and_recovers(small_disk: Path) -> None:
    accepted: list[str] = []
    async with opened(small_disk / "spool") as spool:
        await spool.store(message("first"), keyed("first"))
        filler = small_disk / "filler"
        refused = 0
        fill(filler)
        for number in range(50):
            names_ = [f"m{number}-{n}" for n in range(20)]
            done = await asyncio.gather(
                *(spool.store(message(n, 500), keyed(n)) for n in names_), return_exceptions=True
            )
            for name, outcome in zip(names_, done, strict=True):
                if isinstance(outcome, ServiceError):
                    assert outcome.reason == "STORAGE_UNAVAILABLE"
                    refused += 1
                else:
                    assert isinstance(outcome, Stored)
                    accepted.append(name)
        assert refused > 100
        # What frees space does not give up, though it fails as well while the disk is full.
        spool.forget(1, 1, 100)
        filler.unlink()
        await until(lambda: small_disk.joinpath("spool").exists())
        stored = await spool.store(message("after"), keyed("after"))
        assert not stored.rule
        assert await names(spool) == [*accepted, "after"]
        # Nothing of what was refused is left: its key is new.
        for number in range(50):
            name = f"m{number}-0"
            if name not in accepted:
                assert not (await spool.store(message("x"), keyed(name))).rule
                break


async def test_spool_of_the_first_version_is_taken_over(tmp_path: Path) -> None:
    old = sqlite3.connect(tmp_path / "spool")
    old.executescript("""
        CREATE TABLE spool (sequence INTEGER PRIMARY KEY AUTOINCREMENT, message_id TEXT NOT NULL, subject TEXT NOT NULL,
            payload BLOB NOT NULL);
        CREATE TABLE keys (webhook_id TEXT NOT NULL, key TEXT NOT NULL, fingerprint BLOB NOT NULL, signal_id TEXT NOT NULL,
            PRIMARY KEY (webhook_id, key)) WITHOUT ROWID;
        CREATE TABLE bodies (webhook_id TEXT NOT NULL, fingerprint BLOB NOT NULL, signal_id TEXT NOT NULL,
            receive_ms INTEGER NOT NULL, PRIMARY KEY (webhook_id, fingerprint)) WITHOUT ROWID;
        INSERT INTO spool (message_id, subject, payload) VALUES ('left', 's', x'00');
        INSERT INTO keys VALUES ('demo', 'k', x'aa', 'k123');
    """)
    old.close()
    async with opened(tmp_path / "spool") as spool:
        assert await names(spool) == ["left"]
        again = await spool.store(message("b"), DeduplicationKey(b"k123", "k123", b"\xaa", now_ms()))
        assert (again.signal_id, again.rule, again.conflict) == ("k123", "idempotency_key", False)


async def test_spool_has_one_owner_until_it_is_closed(tmp_path: Path) -> None:
    async with opened(tmp_path / "spool") as spool:
        with pytest.raises(SpoolInUse, match=rf"spool {tmp_path}/spool is in use by pid {os.getpid()} \(ingress instance 0\)"):  # fmt: skip
            Spool(tmp_path / "spool", ROOMY)
        await spool.store(message("still"))
    async with opened(tmp_path / "spool") as spool:
        assert await names(spool) == ["still"]


async def test_spool_of_a_killed_owner_is_free(tmp_path: Path) -> None:
    code = "import sys, pathlib; from vantixs_ingress.spool.lock import SpoolLock; "
    code += "lock = SpoolLock(pathlib.Path(sys.argv[1]), '7'); print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code, str(tmp_path / "spool")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout
        assert owner.stdout.readline() == "held\n"
        with pytest.raises(SpoolInUse, match=rf"by pid {owner.pid} \(ingress instance 7\)"):
            await own_spool(tmp_path / "spool", "7", 0.0)
        # A successor waits for an owner that is about to end.
        successor = asyncio.create_task(own_spool(tmp_path / "spool", "7", 60.0))
        owner.kill()
    (await successor).release()


async def test_commits_that_fail_are_a_problem_until_they_work_again_without_a_request(tmp_path: Path) -> None:
    async with opened(tmp_path / "spool") as spool:
        await spool.store(message("before"))
        other = sqlite3.connect(tmp_path / "spool")
        other.execute("ALTER TABLE spool RENAME TO elsewhere")
        with pytest.raises(ServiceError, match="STORAGE_UNAVAILABLE"):
            await spool.store(message("refused"))
        assert "the last commit failed: no such table" in spool.problem
        other.execute("ALTER TABLE elsewhere RENAME TO spool")
        other.close()
        await until(lambda: not spool.problem)
        await spool.store(message("after"))
        assert await names(spool) == ["before", "after"]


async def test_of_requests_that_share_a_commit_the_one_that_cannot_be_stored_fails_alone(tmp_path: Path) -> None:
    def broken(stored: Stored) -> Message:
        raise ValueError("no entry")

    async with opened(tmp_path / "spool") as spool:
        await spool.store(message("a"), keyed("k"))
        before, bad, after = (
            spool.store(message("b")), spool.store(message("c"), keyed("k"), broken), spool.store(message("d")),
        )  # fmt: skip
        done = await asyncio.gather(before, bad, after, return_exceptions=True)
        assert [type(outcome) for outcome in done] == [Stored, ServiceError, Stored]
        assert await names(spool) == ["a", "b", "d"]
        assert not spool.problem


async def test_copies_of_a_webhook_keep_their_order_where_a_commit_fails(tmp_path: Path) -> None:
    started, ended = threading.Event(), threading.Event()

    def failing(stored: Stored) -> Message:
        started.set()
        ended.wait()
        raise sqlite3.OperationalError("disk I/O error")

    async with opened(tmp_path / "spool") as spool:
        await spool.store(message("a"), keyed("k"))
        spool.remember_webhook("demo", 1, b"token valid")
        refused = spool.store(message("b"), keyed("k"), failing)
        await asyncio.to_thread(started.wait)
        # The first copy is being written, and will not have been; the second one waits for its turn.
        spool.remember_webhook("demo", 2, b"token revoked")
        ended.set()
        with pytest.raises(ServiceError, match="disk I/O error"):
            await refused
        await until(lambda: not spool.problem)
    async with opened(tmp_path / "spool") as spool:
        assert spool.webhooks() == [("demo", 2, b"token revoked")]


async def test_writer_outlives_a_request_that_cannot_be_stored(tmp_path: Path) -> None:
    def broken(stored: Stored) -> Message:
        raise ValueError(f"no entry for repeat {stored.repeat}")

    async with opened(tmp_path / "spool") as spool:
        await spool.store(message("a"), keyed("k"))
        with pytest.raises(ServiceError, match="no entry for repeat 1"):
            await spool.store(message("b"), keyed("k"), broken)
        await spool.store(message("c"))
        assert await names(spool) == ["a", "c"]
        await until(lambda: not spool.problem)
