"""Numbers of the processes of a service in a home."""

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from vantixs.runtime import instances
from vantixs.runtime.home import Home
from vantixs.runtime.lifecycle import StartupError
from vantixs.runtime.settings import ServiceSettings

HOLD = """
import sys
from pathlib import Path
from vantixs.runtime.instances import take
held = take(Path(sys.argv[1]), "risk", sys.argv[2])
print(held.name, flush=True)
sys.stdin.read()
"""


def settings(home: Path, instance: str = "") -> ServiceSettings:
    Home.open(home, create=True)
    return ServiceSettings(home=home, instance=instance, stop_grace_s=0.05)


@pytest.fixture(autouse=True)
def give_up() -> Iterator[None]:
    yield
    for lock in instances._HELD:
        lock.close()
    instances._HELD.clear()


def test_each_process_takes_the_lowest_free_number(tmp_path: Path) -> None:
    assert [instances.claim(settings(tmp_path), "risk").instance for _ in range(3)] == ["0", "1", "2"]
    assert instances.claim(settings(tmp_path), "router").instance == "0"
    instances._HELD[1].close()
    assert instances.claim(settings(tmp_path), "risk").instance == "1"


def test_number_that_is_taken_names_who_has_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instances, "SAID_AFTER_S", 0.0)
    instances.claim(settings(tmp_path, "4"), "risk")
    with pytest.raises(StartupError, match=rf"instance 4 of risk runs already, pid {os.getpid()}: .*next free number"):
        instances.claim(settings(tmp_path, "4"), "risk")
    runs = f"vantixs risk: instance 4 of risk runs already, pid {os.getpid()}"
    assert capsys.readouterr().err == f"{runs}: waits up to 0.1 s for its end\n"


def test_process_that_is_about_to_end_is_waited_for(tmp_path: Path) -> None:
    run = Home.open(tmp_path, create=True).run
    command = [sys.executable, "-c", HOLD, str(run), "0"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdin
        assert holder.stdout
        name = holder.stdout.readline().strip()
        holder.stdin.close()
        claimed = instances.claim(ServiceSettings(home=tmp_path, instance="0", stop_grace_s=10), "risk")
    # Its successor has its name, and with it what the name owns.
    assert instances.name_of(run, "risk", claimed.instance) == name
    assert name.startswith("0-")


def test_numbers_of_what_up_starts_again_are_kept_for_it(tmp_path: Path) -> None:
    run = Home.open(tmp_path, create=True).run
    with (run / "lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        instances.keep_for_up(lock, {"risk": 2})
        assert instances.claim(settings(tmp_path), "risk").instance == "2"
        assert instances.claim(settings(tmp_path), "router").instance == "0"
    # `up` has ended, and keeps nothing any more.
    assert instances.claim(settings(tmp_path), "risk").instance == "0"


def test_only_those_that_run_are_found(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    for number in ("0", "1", "10", "2"):
        taken = instances.take(run, "risk", number)
        assert taken
        (run / f"risk-{number}.json").write_text(json.dumps({"instance": number, "grpc": "127.0.0.1:1"}))
        if number == "1":
            taken.lock.close()  # Killed: its file is still there.
        else:
            instances._HELD.append(taken.lock)
    (run / "risk-2.json").write_text("{")
    assert [facts["instance"] for facts in instances.running(run, "risk")] == ["0", "10"]


def test_broker_is_the_home_s_unless_one_is_named(tmp_path: Path) -> None:
    assert instances.claim(settings(tmp_path), "risk").nats_url == "nats://127.0.0.1:4222"
    (tmp_path / "run" / "endpoints.json").write_text(json.dumps({"nats": "nats://127.0.0.1:9"}))
    assert instances.claim(settings(tmp_path), "risk").nats_url == "nats://127.0.0.1:9"
    named = ServiceSettings(home=tmp_path, nats_url="nats://elsewhere:1")
    assert instances.claim(named, "risk").nats_url == "nats://elsewhere:1"
