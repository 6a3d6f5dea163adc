"""`vantixs up` keeps its services: what once ran is started again, whatever it died of."""

import os
import shutil
import signal
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from vantixs.testing.stack import RunningStack, wait_for

WRONG = "[risk]\nmax_prize_age_s = 5\n"


def serving(stack: RunningStack, name: str) -> bool:
    with grpc.insecure_channel(stack.endpoints["grpc"][name]) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=3)
        except grpc.RpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    path = tmp_path / "small"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(path)], check=True)
    yield path
    subprocess.run(["umount", "--lazy", str(path)], check=True)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """A system with two ingress processes."""
    running = RunningStack(tmp_path_factory.mktemp("supervisor") / "home", ingress=2, forked=False).start()
    yield running
    assert running.stop() == 0


def test_service_that_was_ready_is_started_again_though_it_ends_with_code_2(stack: RunningStack) -> None:
    (stack.home / "settings.toml").write_text(WRONG)
    os.kill(stack.pid("risk"), signal.SIGKILL)
    output = stack.home.parent / "home.up.log"
    wait_for(lambda: output.read_text().count("risk ended with code 2") >= 2, "risk to fail twice")
    assert stack.send({"action": "buy", "symbol": "BTCUSDT"}).status_code == 202
    (stack.home / "settings.toml").unlink()
    wait_for(lambda: serving(stack, "risk"), "risk to serve")


def test_service_that_was_never_ready_ends_the_start_with_its_line(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "vantixs-home").write_text("1\n")
    (home / "settings.toml").write_text(WRONG)
    done = RunningStack(home).run("up", "--http-port", "0")
    assert done.returncode == 2
    assert done.stderr.strip().splitlines()[-1].endswith("unknown setting, the nearest known one is max_price_age_ms")


@pytest.mark.long  # Mounts a small disk, which takes root.
def test_restart_needs_no_disk_for_pid_files_and_logs(tmp_path: Path, small_disk: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "vantixs-home").write_text("1\n")
    (home / "run").symlink_to(small_disk, target_is_directory=True)
    stack = RunningStack(home).start()
    before = stack.pid("risk")
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file:
        while file.write(bytes(4096)) == 4096 and shutil.disk_usage(small_disk).free:
            pass
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: "risk: no pid file" in (tmp_path / "home.up.log").read_text(), "risk to be started again")
    wait_for(lambda: serving(stack, "risk"), "risk to serve")
    assert not (home / "run" / "risk.pid").exists(), "the pid of a process that is gone"
    assert stack.send({"action": "buy", "symbol": "BTCUSDT"}).status_code == 202
    filler.unlink()
    assert stack.stop() == 0


def test_replica_keeps_its_port(stack: RunningStack) -> None:
    before = stack.ingress_url(1)
    (stack.home / "run" / "ingress-1.json").unlink()
    stack.kill("ingress-1")
    wait_for((stack.home / "run" / "ingress-1.json").exists, "the replica to be ready")
    assert stack.ingress_url(1) == before


def test_whole_home_is_for_its_user_alone_and_an_older_one_is_repaired(stack: RunningStack) -> None:
    def readable() -> list[str]:
        return [str(p) for p in (home, *home.rglob("*")) if stat.S_IMODE(p.lstat().st_mode) & 0o077]

    home = stack.home
    assert stack.send({"action": "buy", "symbol": "ETHUSDT"}).status_code == 202
    assert stack.run("halt").returncode == 0
    assert not readable()
    assert stack.stop() == 0
    for path in (home, *home.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    stack.forked = RunningStack.forked
    stack.start()
    assert not readable()
