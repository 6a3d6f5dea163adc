"""The first start on small and large disks."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from vantixs.runtime.home import Home
from vantixs.runtime.lifecycle import StartupError
from vantixs_console.disk import first_journal_bytes


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.open(tmp_path / "home", create=True)


def free(monkeypatch: pytest.MonkeyPatch, size_bytes: int) -> None:
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_bavail=size_bytes // 4096, f_frsize=4096))


@pytest.mark.parametrize(
    ("free_bytes", "limit"), [(300_000_000, 75_000_000), (8 << 30, 2 << 30), (32 << 30, 8 << 30), (1 << 40, 8 << 30)]
)
def test_new_journal_takes_a_quarter_of_what_is_free(
    free_bytes: int, limit: int, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    free(monkeypatch, free_bytes)
    assert first_journal_bytes(home) == pytest.approx(limit, abs=4096)


def test_first_start_on_too_small_a_disk_is_one_line(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    free(monkeypatch, 120_000_000)
    with pytest.raises(StartupError, match=r"expected at least 250 MB free .* was 119 MB") as failed:
        first_journal_bytes(home)
    assert "\n" not in str(failed.value)


def test_system_that_runs_already_starts_on_a_full_disk(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    (home.data / "nats").mkdir()
    free(monkeypatch, 0)
    assert first_journal_bytes(home) == 64 << 20
