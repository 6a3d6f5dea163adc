"""Which processes of a service run in a home: each has a number of its own, a lock, and a file that says where it answers.

The lock is the operating system's and ends with the process, so a file of one that was killed is known to be of the past.
"""

import contextlib
import fcntl
import json
import os
import secrets
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeVar

from vantixs.runtime.home import Home
from vantixs.runtime.settings import ServiceSettings
from vantixs.runtime.startup import StartupError

MOST = 100  # Of one service in a home.
LOOKS, PAUSE_S = 5, 0.02
SAID_AFTER_S = 1.0  # A process that ends in time is not worth a line.
T = TypeVar("T", bound=ServiceSettings)
_HELD: list[IO[str]] = []  # Locks of this process; one that is closed is given up.


class Instance(NamedTuple):
    """A process's number in its home, a name that it shares with no process of another home, and its lock."""

    number: str
    name: str
    lock: IO[str]


def claim(settings: T, service: str) -> T:
    """The settings as they hold for this process of the home: with its number, and the home's broker where none is named.

    The number is taken for as long as the process lives. It is the one that was asked for, or the lowest that is free:
    `vantixs up` keeps the first ones for what it starts.
    Whoever holds the one that was asked for is waited for as long as it may take to stop.

    Raises:
        StartupError: it is another's, none is free, the file system has no locks, or the home cannot be used.
    """
    run = Home.open(settings.home).run
    if settings.instance:
        taken = _wait_for(run, service, settings.instance, 2 * settings.stop_grace_s)
    else:
        free = (take(run, service, str(number)) for number in range(_kept_for_up(run, service), MOST))
        first = next((instance for instance in free if instance), None)
        if first is None:
            raise StartupError(f"{service}: expected at most {MOST} processes in {settings.home}, none is free")
        taken = first
    _HELD.append(taken.lock)
    return replace(settings, instance=taken.number, nats_url=settings.nats_url or _broker_of(run))


def take(run: Path, service: str, number: str) -> Instance | None:
    """The instance of that number; None where another process has it.

    Raises:
        StartupError: the file system has no locks, or the file cannot be written.
    """
    path = run / f"{service}-{number}.lock"
    try:
        lock = path.open("a+")
        if not _lock(lock, fcntl.LOCK_EX):
            lock.close()
            return None
        lock.seek(0)
        name = lock.readline().strip() or f"{number}-{secrets.token_hex(4)}"
        lock.truncate(0)
        lock.write(f"{name}\n{os.getpid()}\n")
        lock.flush()
    except OSError as error:
        raise StartupError(f"{path}: expected a file that can be written and locked, {error.strerror}") from None
    return Instance(number, name, lock)


def name_of(run: Path, service: str, number: str) -> str:
    """The name of an instance that this process has taken."""
    return (run / f"{service}-{number}.lock").read_text().partition("\n")[0]


def running(run: Path, service: str) -> list[dict[str, Any]]:
    """What those that run say of themselves in run/<service>-<number>.json, by number."""
    found = []
    for path in run.glob(f"{service}-*.json"):
        number = path.stem.removeprefix(f"{service}-")
        # A file that is just being written, or was removed since, is looked at the next time.
        with contextlib.suppress(OSError, ValueError):
            if _is_held(run / f"{service}-{number}.lock"):
                found.append(dict(json.loads(path.read_text())))
    return sorted(found, key=lambda facts: (len(facts["instance"]), facts["instance"]))


def keep_for_up(lock: IO[str], scale: dict[str, int]) -> None:
    """Writes into the lock of `vantixs up`, which it holds, how many of each service it starts."""
    lock.seek(0)
    lock.truncate(0)
    lock.write(json.dumps(scale))
    lock.flush()


def _kept_for_up(run: Path, service: str) -> int:
    """How many numbers are for what `vantixs up` starts again; 0 where it does not run."""
    path = run / "lock"
    with contextlib.suppress(OSError, ValueError):
        if _is_held(path):
            return int(json.loads(path.read_text()).get(service, 0))
    return 0


def _broker_of(run: Path) -> str:
    with contextlib.suppress(OSError, ValueError, KeyError):
        return str(json.loads((run / "endpoints.json").read_text())["nats"])
    return "nats://127.0.0.1:4222"


def _wait_for(run: Path, service: str, number: str, limit_s: float) -> Instance:
    began, said = time.monotonic(), False
    while not (taken := take(run, service, number)):
        waited_s = time.monotonic() - began
        owner = (run / f"{service}-{number}.lock").read_text().split()[1:]
        detail = f"instance {number} of {service} runs already, pid {owner[0] if owner else 'unknown'}"
        if waited_s >= SAID_AFTER_S and not said:
            sys.stderr.write(f"vantixs {service}: {detail}: waits up to {limit_s:g} s for its end\n")
            said = True
        if waited_s >= limit_s:
            raise StartupError(f"{detail}: without VANTIXS_INSTANCE the next free number is taken")
        time.sleep(PAUSE_S)  # Before there is a loop: the process has nothing else to do.
    return taken


def _lock(file: IO[str], kind: int) -> bool:
    """Takes the lock. Whoever only looks whether it is held has it for a moment, so one that is taken is tried again."""
    for _ in range(LOOKS):
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(PAUSE_S)  # Before there is a loop, too.
        else:
            return True
    return False


def _is_held(path: Path) -> bool:
    """Whether a process holds the lock; a file that is not there is nobody's."""
    try:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False
