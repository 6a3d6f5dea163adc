"""A service's process, from start to exit.

Services start in any order. On the first SIGTERM or SIGINT `stopping` is set and the service's own `serve` returns in
its own time; a second signal ends the process at once.
"""

import asyncio
import contextlib
import gc
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import uvloop

from vantixs.runtime import freed_memory, logs
from vantixs.runtime.addresses import local_socket
from vantixs.runtime.health import Health
from vantixs.runtime.log_output import LogFile, output
from vantixs.runtime.logs import log
from vantixs.runtime.settings import ServiceSettings, SettingsError
from vantixs.runtime.startup import StartupError
from vantixs.runtime.tls import plain_text

__all__ = ["Lifecycle", "StartupError", "Stopped", "run"]


class Stopped(Exception):
    """The service was asked to stop before it was ready; this is not an error."""


class Lifecycle:
    """What `serve` gets: health, background tasks, and the event that asks the service to stop."""

    def __init__(self, service: str, settings: ServiceSettings, tasks: asyncio.TaskGroup) -> None:
        self.service = service
        self.health = Health()
        self.stopping = asyncio.Event()
        self._settings = settings
        self._tasks = tasks
        self._spawned: list[asyncio.Task[None]] = []
        self._run_file: Path | None = None

    def spawn(self, work: Coroutine[Any, Any, None], *, name: str) -> "asyncio.Task[None]":
        """Runs background work; its failure ends the process."""
        task = self._tasks.create_task(work, name=name)
        self._spawned.append(task)
        return task

    async def finish(self, *tasks: "asyncio.Task[None]") -> None:
        """Waits for background work that ends by itself after `stopping` is set. After the grace period it is cancelled."""
        if tasks:
            await asyncio.wait(tasks, timeout=self._settings.stop_grace_s)

    def cancel_rest(self) -> None:
        """Cancels background work that still runs."""
        for task in self._spawned:
            task.cancel()

    def ready(self, **endpoints: str) -> None:
        """Says that the service listens, in the log and in run/<service>-<instance>.json."""
        from vantixs.runtime.home import write_atomically  # noqa: PLC0415 - home needs StartupError from here

        # Objects made until now live as long as the process, so the garbage collector need not scan them again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 50, 100)
        log.info("service.ready", **endpoints)
        run = self._settings.home / "run"
        run.mkdir(parents=True, exist_ok=True)
        facts = {"service": self.service, "instance": self._settings.instance, "pid": os.getpid(), **endpoints}
        if (path := local_socket(run.absolute(), self.service, self._settings.instance)).is_socket():
            facts["socket"] = str(path)
        self._run_file = run / f"{self.service}-{self._settings.instance}.json"
        try:
            write_atomically(self._run_file, json.dumps(facts) + "\n")
        except OSError as error:
            # The service runs without the file: a service that restarts while the disk is full keeps its addresses.
            log.warning("service.run_file_not_written", detail=error.strerror)

    async def stopped(self) -> None:
        """Returns once the service is asked to stop. Health is down by then, so that no client chooses it any more."""
        await self.stopping.wait()
        self.health.stop()
        if self._run_file:
            with contextlib.suppress(OSError):
                self._run_file.unlink(missing_ok=True)


def run(settings: ServiceSettings, service: str, serve: Callable[[Lifecycle], Awaitable[None]]) -> int:
    """Runs a service to its end; returns the exit code: 0 stopped, 1 failed, 2 could not start as set up."""
    # The writer thread of a store and the event loop constantly wait for each other: a switch interval of 5 ms is too long.
    sys.setswitchinterval(0.0005)
    logs.configure(service, settings.instance, settings.log_level, settings.log_format)
    try:
        if settings.log_file:
            output.take(LogFile(Path(settings.log_file), settings.log_max_bytes, settings.log_files))
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run(settings, service, serve))
    except (Exception, ExceptionGroup) as error:
        cause = _leaf(error)
        if isinstance(cause, StartupError | SettingsError):
            output.write(f"vantixs {service}: {cause}\n")  # One line for the operator.
            return 2
        if isinstance(cause, Stopped):
            log.info("service.stopped")
            return 0
        log.error("service.failed", exc_info=cause)
        return 1
    log.info("service.stopped")
    return 0


async def _run(settings: ServiceSettings, service: str, serve: Callable[[Lifecycle], Awaitable[None]]) -> None:
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as tasks:
        life = Lifecycle(service, settings, tasks)

        def stop() -> None:
            if life.stopping.is_set():
                os._exit(130)
            life.stopping.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)
        if settings.log_file:
            life.spawn(output.watch(), name="log")
        life.spawn(freed_memory.give_back(), name="freed memory")
        for key, host in plain_text(settings):
            log.warning("transport.plain_text", setting=key, host=host, detail="tokens can be read on the way; set TLS")
        await serve(life)
        life.cancel_rest()


def _leaf(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
