"""The logs of `vantixs up`: bounded, and one line where they cannot be written."""

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from vantixs.testing.stack import RunningStack, wait_for

SMALL = {"VANTIXS_LOG_MAX_BYTES": "65536", "VANTIXS_LOG_LEVEL": "debug", "VANTIXS_METRICS_LISTEN": "127.0.0.1:0"}
PROCESSES = ("nats", "ingress", "risk", "router", "audit", "console")


def dropped(stack: RunningStack, service: str) -> float:
    url = re.search(r'"metrics": "([^"]+)"', (stack.home / "run" / f"{service}-0.json").read_text())
    assert url
    value = re.search(r"^vantixs_log_dropped_total (\S+)", httpx.get(url[1]).text, re.MULTILINE)
    assert value
    return float(value[1])


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """A system that found logs of an earlier run as large as they may become."""
    home = tmp_path_factory.mktemp("logs") / "home"
    (home / "logs").mkdir(parents=True)
    (home / "vantixs-home").write_text("1\n")
    for name in PROCESSES:
        (home / "logs" / f"{name}.log").write_text("earlier\n" * 10_000)
    running = RunningStack(home, **SMALL).start()
    yield running
    assert running.stop() == 0


def test_every_process_appends_to_its_log_and_rotates_it(stack: RunningStack) -> None:
    logs = stack.home / "logs"
    assert {f"{name}.log" for name in PROCESSES} <= {p.name for p in logs.iterdir()}
    assert stack.send({"action": "buy", "symbol": "BTCUSDT"}).status_code == 202
    for name in PROCESSES:
        earlier = [p for p in logs.glob(f"{name}.log.*") if b"earlier\n" in p.read_bytes()]
        assert len(earlier) == 1, (name, list(logs.iterdir()))
        assert b"earlier" not in (logs / f"{name}.log").read_bytes()
    stack.kill("risk")
    before = (logs / "risk.log").read_bytes()
    wait_for(lambda: (logs / "risk.log").read_bytes().count(b"service.ready") == 2, "risk to be ready again")
    assert (logs / "risk.log").read_bytes().startswith(before[:200])
    stack.signal("risk", signal.SIGTERM)
    wait_for(lambda: b"service.stopped" in (logs / "risk.log").read_bytes(), "risk to say that it ends")
    wait_for(lambda: (logs / "risk.log").read_bytes().count(b"service.ready") == 3, "risk to be ready again")


@pytest.mark.parametrize("kind", ["directory", "logs is a file"])
@pytest.mark.parametrize("name", ["risk", "nats"])
def test_start_with_an_unwritable_log_is_one_line(tmp_path: Path, name: str, kind: str) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "vantixs-home").write_text("1\n")
    if kind == "directory":
        (home / "logs" / f"{name}.log").mkdir(parents=True)
    else:
        (home / "logs").write_text("")
    done = RunningStack(home).run("up", "--http-port", "0")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert str(home / "logs") in line
    assert ("move it away" if kind == "directory" else "expected a writable directory") in line
    assert "Traceback" not in done.stderr + done.stdout


def test_service_whose_log_became_unwritable_is_started_again_without(stack: RunningStack) -> None:
    log = stack.home / "logs" / "risk.log"
    log.unlink()
    log.mkdir()
    stack.kill("risk")
    output = stack.home.parent / "home.up.log"
    wait_for(lambda: "risk writes no log: log file" in output.read_text(), "the supervisor to say so")
    sent = stack.send({"action": "buy", "symbol": "ETHUSDT"})
    ended = stack.ended([sent.json()["signal_id"]])
    assert ended[sent.json()["signal_id"]]["status"] == "SIGNAL_STATUS_EXECUTED"


def test_log_of_many_gigabytes_is_not_read(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "logs").mkdir(parents=True)
    (home / "vantixs-home").write_text("1\n")
    # Under the size at which it is put aside, and more than the memory that the command is given.
    with (home / "logs" / "risk.log").open("wb") as file:
        file.truncate(20 << 30)
    (home / "settings.toml").write_text(f"[common]\nlog_max_bytes = {40 << 30}\n[risk]\nmax_prize_age_s = 5\n")
    done = RunningStack(home).run("up", "--http-port", "0")
    assert done.returncode == 2
    assert done.stderr.strip().endswith("unknown setting, the nearest known one is max_price_age_ms")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    path = tmp_path / "small"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(path)], check=True)
    yield path
    subprocess.run(["umount", "--lazy", str(path)], check=True)


@pytest.mark.long  # Mounts a small disk, which takes root.
def test_logs_on_a_full_disk_stop_nothing_and_go_on_when_there_is_space(tmp_path: Path, small_disk: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "vantixs-home").write_text("1\n")
    (home / "logs").symlink_to(small_disk, target_is_directory=True)
    stack = RunningStack(home, **SMALL).start()
    filler = small_disk / "filler"
    # The last block of a log that is there has room left.
    for path, block in [(filler, bytes(4096)), *((small_disk / f"{name}.log", b"\n") for name in PROCESSES)]:
        with path.open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(block):
                pass
    for name in ("nats", "risk", "router"):
        stack.kill(name)

    def executed() -> bool:
        sent = stack.send({"action": "buy", "symbol": "BTCUSDT", "nonce": os.urandom(4).hex()})
        assert sent.status_code in (200, 202), sent.text
        status = stack.ended([sent.json()["signal_id"]])[sent.json()["signal_id"]]["status"]
        return bool(status == "SIGNAL_STATUS_EXECUTED")

    wait_for(executed, "a signal to be executed")
    wait_for(lambda: dropped(stack, "risk") + dropped(stack, "router") > 0, "lines to be counted as dropped")
    filler.unlink()
    assert stack.stop() == 0
    assert "service.stopped" in (small_disk / "risk.log").read_text()
