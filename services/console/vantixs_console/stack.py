"""`vantixs up`: starts every process of the system on this machine, and restarts those that die, until it is stopped."""

import asyncio
import contextlib
import ctypes
import fcntl
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from vantixs.runtime.addresses import port_of, reserve_port
from vantixs.runtime.home import ENCRYPTING, LATER, SECRETS, Home, write_atomically
from vantixs.runtime.instances import keep_for_up
from vantixs.runtime.lifecycle import StartupError
from vantixs.runtime.log_output import LogFile
from vantixs.runtime.nats_config import server_binary, server_config
from vantixs.runtime.settings import SERVICES, SettingsError

from vantixs_console.bootstrap import TOKEN
from vantixs_console.disk import first_journal_bytes
from vantixs_console.terminal import service_settings

STOP_S = 4.0
LEASE_S = 4.0  # After this time other replicas take the lanes of a silent one.
START_S = 60.0
BROKER_ATTEMPTS = 4  # With the pauses in between that is about three seconds.
STEADY_S = 3.0  # A process that lived this long is restarted without delay.
_PDEATHSIG = 1
_LAST_LINE_BYTES = 64 << 10
Say = Callable[[str], None]


@dataclass(slots=True)
class Child:
    """A process, and how to start it again."""

    name: str
    command: list[str]
    environ: dict[str, str]
    log: LogFile
    log_arguments: list[str]
    log_environ: dict[str, str]
    process: asyncio.subprocess.Process | None = None
    restarts: int = 0
    started: float = 0.0
    was_ready: bool = False


@dataclass(slots=True)
class Stack:
    """All processes of one home directory."""

    home: Home
    say: Say
    http_port: int
    scale: dict[str, int]
    children: list[Child] = field(default_factory=list)
    endpoints: dict[str, object] = field(default_factory=dict)
    grpc: dict[str, str] = field(default_factory=dict)
    stopping: bool = False
    published: bool = False  # Set once the child was ready: from then on it is always restarted.
    _lock: IO[str] | None = None
    _ports: list[socket.socket] = field(default_factory=list)
    _log_size: tuple[int, int] = (0, 0)

    def prepare(self) -> None:
        """Creates secrets and configuration, and chooses ports.

        Raises:
            StartupError: the home is in use, or its disk is too small.
            SettingsError: a setting or a log file cannot be used.
        """
        settings = service_settings(str(self.home.path))
        self._log_size = (settings.log_max_bytes, settings.log_files)
        self._lock = _open_lock(self.home.run / "lock")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StartupError(f"home {self.home.path}: `vantixs up` runs here already") from None
        first_bytes = first_journal_bytes(self.home)
        for name in (*SECRETS, TOKEN):
            if name not in (*ENCRYPTING, *LATER) and self.home.has_stores and not (self.home.secrets / name).exists():
                self.say(f"secrets/{name} was missing and is made anew: whoever has the old one is refused")
        for name in SECRETS:
            self.home.secret(name)
        keep_for_up(self._lock, {name: self._replicas(name) for name in SERVICES})
        numbered = [f"{name}-{n}" for name in SERVICES for n in range(self._replicas(name))]
        for stale in [self.home.run / f"{label}.json" for label in ("endpoints", *numbered)]:
            stale.unlink(missing_ok=True)
        for stale in self.home.run.glob("*.pid"):
            stale.unlink()
        nats_port = self._take_port()
        config = self.home.run / "nats.conf"
        token = self.home.secret("nats-token")
        text = server_config(self.home.data / "nats", "127.0.0.1", nats_port, token, self._log("nats"))
        write_atomically(config, text, mode=0o600)
        grpc = {name: [f"127.0.0.1:{self._take_port()}" for _ in range(self._replicas(name))] for name in _SERVICES}
        environ = {k: v for k, v in os.environ.items() if not k.startswith("VANTIXS_") or k in _kept(os.environ)}
        environ.setdefault("VANTIXS_JOURNAL_FIRST_BYTES", str(first_bytes))
        # The broker is on this machine and has no TLS.
        environ |= {f"VANTIXS_NATS_TLS_{part}": "" for part in ("CA", "CERTIFICATE", "KEY")}
        environ |= {"VANTIXS_HOME": str(self.home.path), "VANTIXS_NATS_URL": f"nats://127.0.0.1:{nats_port}"}
        http = f"127.0.0.1:{self.http_port or self._take_port()}"
        pages = [f"127.0.0.1:{self._take_port()}" for _ in range(self._replicas("console"))]
        self.grpc = {name: ",".join(addresses) for name, addresses in grpc.items()}
        self.endpoints = {
            "http": f"http://{http}",
            "console": f"http://{pages[0]}",
            "nats": f"nats://127.0.0.1:{nats_port}",
            "grpc": self.grpc,
        }
        nats_log = self._log("nats")
        self._add(
            Child(
                "nats", [server_binary(), "-c", str(config)], dict(os.environ), nats_log, ["-l", str(nats_log.path)], {}
            )
        )
        for name, addresses in grpc.items():
            for number, address in enumerate(addresses):
                own = {f"VANTIXS_{name.upper()}_GRPC_LISTEN": address, "VANTIXS_INSTANCE": str(number)}
                if name == "ingress":
                    # The first has the requested port; the ports of the others are in run/ingress-<n>.json.
                    own["VANTIXS_INGRESS_HTTP_LISTEN"] = http if number == 0 else f"127.0.0.1:{self._take_port()}"
                self._add_service(name, number, environ | own)
        for number, page in enumerate(pages):
            own = {"VANTIXS_CONSOLE_HTTP_LISTEN": page, "VANTIXS_INSTANCE": str(number)}
            self._add_service("console", number, environ | own)

    def _replicas(self, name: str) -> int:
        return self.scale.get(name, 1)

    def _take_port(self) -> int:
        """A port that stays reserved until the end, also while the service on it restarts."""
        self._ports.append(reserve_port())
        return port_of(self._ports[-1])

    def _add_service(self, name: str, number: int, environ: dict[str, str]) -> None:
        label = f"{name}-{number}" if self._replicas(name) > 1 else name
        log = self._log(label)
        command = [sys.executable, "-m", "vantixs_console", "serve", name]
        self._add(Child(label, command, environ, log, [], {f"VANTIXS_{name.upper()}_LOG_FILE": str(log.path)}))

    def _add(self, child: Child) -> None:
        with contextlib.suppress(OSError):  # A full disk must not prevent the start.
            os.close(child.log.open())
        self.children.append(child)

    def _log(self, label: str) -> LogFile:
        return LogFile(self.home.logs / f"{label}.log", *self._log_size)

    async def start(self, child: Child) -> None:
        """Starts a child in a session of its own, so that Ctrl-C reaches it through this process, and only once.

        Works on a full disk: then the child runs without a log or a pid file, because it may be the one that frees space.
        """
        log, arguments, environ = self._open_log(child)
        try:
            child.process = await asyncio.create_subprocess_exec(
                *child.command,
                *arguments,
                env=child.environ | environ,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        finally:
            os.close(log)
        child.started = time.monotonic()
        pid_file = self.home.run / f"{child.name}.pid"
        try:
            write_atomically(pid_file, f"{child.process.pid}\n")
        except OSError as error:
            with contextlib.suppress(OSError):
                pid_file.unlink(missing_ok=True)
            self._tell(f"  {child.name}: no pid file, {error.strerror}")

    def _open_log(self, child: Child) -> tuple[int, list[str], dict[str, str]]:
        """The file for a child's output, and the arguments and the environment that name its log.

        A service opens its log again once there is space. nats-server would not start without space, so it gets no
        log then.
        """
        try:
            if child.log_environ:  # nats-server renames its old log files by itself.
                child.log.make_room()
            return child.log.open(), child.log_arguments, child.log_environ
        except SettingsError as error:
            self._tell(f"  {child.name} writes no log: {error}")
            return os.open(os.devnull, os.O_WRONLY), [], {}
        except OSError:
            return os.open(os.devnull, os.O_WRONLY), [], child.log_environ

    def _tell(self, line: str) -> None:
        """Prints the text if possible: the output may be a file on a full disk."""
        with contextlib.suppress(OSError):
            self.say(line)

    async def watch(self, child: Child) -> None:
        """Restarts a child whenever it dies, more slowly each time.

        Raises:
            StartupError: a child that was never ready ended with exit code 2: it cannot start with this set-up.
        """
        while True:
            assert child.process  # noqa: S101
            code = await child.process.wait()
            if self.stopping:
                return
            if code == 2 and child.name != "nats" and not child.was_ready:
                raise StartupError(_last_line(child.log.path))
            child.restarts = child.restarts + 1 if time.monotonic() - child.started < STEADY_S else 0
            if child.name == "nats" and child.restarts == BROKER_ATTEMPTS and not self.published:
                reason = _last_line(child.log.path).rpartition("] ")[2]
                remedy = f"make {self.home.data / 'nats'} writable, or put a copy of it back"
                raise StartupError(f"the broker does not start: {reason}; {remedy} (log: {child.log.path})")
            await self._start_again(child, f"ended with code {code}")

    async def end_stopped(self) -> None:
        """Kills replicas that were stopped (SIGSTOP) for a lease: inside a transaction they would block their database.

        Only for SQLite: a PostgreSQL server ends such transactions by itself. Linux only; runs until cancelled.
        """
        since: dict[int, float] = {}
        while True:
            await asyncio.sleep(0.5)
            pids = [c.process.pid for c in self.children if c.process and self._replicas(c.name.partition("-")[0]) > 1]
            now = time.monotonic()
            since = {pid: since.get(pid, now) for pid in pids if _is_stopped(pid)}
            for pid in [pid for pid, first in since.items() if now - first >= LEASE_S]:
                self._tell(f"  process {pid} is stopped and holds up the others: it is ended")
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    async def _start_again(self, child: Child, why: str) -> None:
        while True:
            pause = min(0.2 * 2 ** min(child.restarts, 5), 5.0)
            self._tell(f"  {child.name} {why}, starts again in {pause:.1f} s (log: {child.log.path})")
            await asyncio.sleep(pause)
            try:
                await self.start(child)
            except OSError as error:
                child.restarts, why = child.restarts + 1, f"could not be started ({error.strerror})"
            else:
                return

    async def ready(self) -> None:
        """Waits until every service reports that it listens; prints a line for each."""
        waiting = {c.name: c for c in self.children if c.name != "nats"}
        while waiting:
            for name in list(waiting):
                if (self.home.run / f"{name if '-' in name else name + '-0'}.json").exists():
                    waiting.pop(name).was_ready = True
                    self.say(f"  {name:<10} ready")
            await asyncio.sleep(0.03)

    async def stop(self) -> None:
        """Ends the services together, then the broker. Processes that still run after 4 s are killed."""
        self.stopping = True
        await _end([c for c in self.children if c.name != "nats"])
        await _end([c for c in self.children if c.name == "nats"])
        (self.home.run / "endpoints.json").unlink(missing_ok=True)
        for held in self._ports:
            held.close()
        if self._lock:
            self._lock.close()

    def publish(self) -> None:
        """Writes run/endpoints.json: from now on the system can be used."""
        write_atomically(self.home.run / "endpoints.json", json.dumps(self.endpoints, indent=2) + "\n")
        self.published = True


_SERVICES = ("ingress", "risk", "router", "audit")


def _kept(environ: "os._Environ[str]") -> set[str]:
    """The caller's settings for the services: all except addresses and paths of secrets, which `Stack` sets."""
    ours = {"VANTIXS_HOME", "VANTIXS_NATS_URL", "VANTIXS_INSTANCE"} | {
        f"VANTIXS_{s.upper()}_ADDRESSES" for s in _SERVICES
    }
    return {name for name in environ if name not in ours}


async def _end(children: list[Child]) -> None:
    running = [c.process for c in children if c.process and c.process.returncode is None]
    for process in running:
        process.send_signal(signal.SIGCONT)
        process.terminate()
    if running:
        waits = [asyncio.create_task(process.wait()) for process in running]
        await asyncio.wait(waits, timeout=STOP_S)
    for process in running:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _open_lock(path: Path) -> IO[str]:
    try:
        return path.open("a+")
    except OSError as error:
        raise StartupError(f"{path}: expected a file that can be written, {error.strerror}") from None


def _is_stopped(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    return False


def die_with_parent() -> None:
    """Sends SIGTERM to the child when `vantixs up` is killed, so that no process is left running. Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGTERM)


def _last_line(log: Path) -> str:
    try:
        with log.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _LAST_LINE_BYTES))
            lines = file.read(_LAST_LINE_BYTES).decode(errors="replace").strip().splitlines()
    except OSError as error:
        return f"{log}: {error.strerror}"
    return lines[-1].removeprefix("vantixs: ") if lines else f"see {log}"
