"""Makes a home of an earlier commit that was killed with signals in flight: see README.md beside this file.

python tests/data/homes/make.py TREE OUT.tar.gz, with a Python that has the earlier commit's requirements; TREE is a checkout
of it, for example by `git archive`. It runs the earlier code, so nothing of today's is imported here.
"""

import base64
import contextlib
import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

# No secret: tests write the same file into the home that they unpack.
SIGNING_KEY = base64.urlsafe_b64encode(hashlib.sha256(b"a home for tests").digest()).decode().rstrip("=") + "\n"
# Where a signal of each instrument stands still once the flag is there. No two are of one lane.
STAGES = {
    "BTC/USDT": "decided",  # Risk has reserved; no order is stored.
    "ETH/USDT": "stored",  # The order is stored as SUBMITTED; the venue has not heard of it.
    "SOL/USDT": "filled",  # The venue has filled it; risk has booked nothing.
    "XRP/USDT": "booked",  # Risk has booked it; the signal has no outcome.
    "ADA/USDT": "committed",  # The outcome is committed; the journal has nothing of it.
}
# Loaded by every process of the earlier commit; changes the router alone.
PATCH = """
import asyncio, os, sys
if "serve" in sys.argv and "router" in sys.argv:
    from pathlib import Path
    from vantixs.runtime.journal import Journal
    from vantixs_router.risk_client import RiskClient
    from vantixs_router import venue
    STAGES, AT = __STAGES__, Path(os.environ["STAND_STILL_AT"])

    async def reached(stage, instrument, legs=0):
        if (AT / "now").exists() and STAGES.get(instrument) == stage:
            (AT / stage).touch()
            await asyncio.Event().wait()

    evaluate, settle, submit, publish = RiskClient.evaluate, RiskClient.settle, venue.PaperVenue.submit, Journal.publish

    async def evaluate_and_stand(self, request):
        decision = await evaluate(self, request)
        await reached("decided", request.order.instrument)
        if (AT / "now").exists() and request.order.account_id == "second" and request.order.order_id.endswith(".2"):
            (AT / "second-leg").touch()
            await asyncio.Event().wait()
        return decision

    async def submit_and_stand(self, order, *others):
        await reached("stored", order.instrument)
        return await submit(self, order, *others)

    async def settle_and_stand(self, order, fills, *, final):
        await reached("filled", order.instrument)
        position = await settle(self, order, fills, final=final)
        await reached("booked", order.instrument)
        return position

    async def publish_and_stand(self, subject, payload, message_id):
        if b"ADA/USDT" in payload:
            await reached("committed", "ADA/USDT")
        return await publish(self, subject, payload, message_id)

    RiskClient.evaluate, RiskClient.settle = evaluate_and_stand, settle_and_stand
    venue.PaperVenue.submit, Journal.publish = submit_and_stand, publish_and_stand
"""
NOT_PACKED = (".reserve", "-shm", "-wal", ".lock")


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, f"waited for {what}"
        time.sleep(0.05)
    return result


class Home:
    """A home of the earlier commit, and the system that runs on it."""

    def __init__(self, tree: Path, directory: Path) -> None:
        self.path, self.at = directory / "home", directory / "at"
        patched = directory / "patch"
        patched.mkdir()
        self.at.mkdir()
        (patched / "sitecustomize.py").write_text(PATCH.replace("__STAGES__", repr(STAGES)))
        services = ("ingress", "router", "risk", "audit", "console")
        parts = [patched, tree / "libs", *(tree / "services" / name for name in services)]
        kept = {name: value for name, value in os.environ.items() if not name.startswith("VANTIXS_")}
        self._environ = kept | {
            "PYTHONPATH": ":".join(map(str, parts)),
            "STAND_STILL_AT": str(self.at),
            # A broker refuses a stream that may grow beyond its disk.
            "VANTIXS_JOURNAL_FIRST_BYTES": str(64 << 20),
        }
        self.run("init")
        (self.path / "secrets" / "signing-key").write_text(SIGNING_KEY)
        self._log = (directory / "up.log").open("w+")
        command = [sys.executable, "-m", "vantixs_console", "up", "--home", str(self.path), "--http-port", "0"]
        self.up = subprocess.Popen(command, env=self._environ, stdout=self._log, stderr=subprocess.STDOUT)
        wait_for(lambda: "Ctrl-C" in (directory / "up.log").read_text(), "the system to be ready")

    def run(self, *arguments: str) -> dict[str, Any]:
        command = [sys.executable, "-m", "vantixs_console", *arguments, "--home", str(self.path)]
        command += ["--json"] if arguments != ("init",) else []
        done = subprocess.run(command, env=self._environ, capture_output=True, text=True, check=True)
        return dict(json.loads(done.stdout)) if arguments != ("init",) else {}

    def pid(self, name: str) -> int:
        return int((self.path / "run" / f"{name}.pid").read_text())

    def webhook(self, account: str) -> str:
        never = ("--entry-expires-after-s", "0", "--exit-expires-after-s", "0")
        return str(self.run("webhook", "create", "--account", account, *never, "--sell-opens-short")["url"])

    def known(self) -> set[str]:
        return {s["signal_id"] for s in self.run("signals", "list", "--page-size", "1000")["signals"]}

    def ended(self, ids: list[str]) -> None:
        def all_ended() -> bool:
            signals = {s["signal_id"]: s["status"] for s in self.run("signals", "list")["signals"]}
            return all(signals.get(i, "SIGNAL_STATUS_ACCEPTED") != "SIGNAL_STATUS_ACCEPTED" for i in ids)

        wait_for(all_ended, "signals to end")


def send(url: str, action: str, symbol: str, key: str, **more: str) -> str:
    body = json.dumps({"action": action, "symbol": symbol, "idempotency_key": key, **more}).encode()
    with urllib.request.urlopen(urllib.request.Request(url, body), timeout=10) as response:
        return str(json.load(response)["signal_id"])


def make(tree: Path, target: Path, directory: Path) -> None:
    home = Home(tree, directory)
    home.run("account", "create", "second", "--may-short")
    url, second = home.webhook("paper"), home.webhook("second")
    bases = [instrument.partition("/")[0] for instrument in STAGES]
    # History: what ended before.
    before = [send(url, "buy", f"{base}USDT", f"before-{base}") for base in bases]
    before += [send(url, "close", "LINKUSDT", "before-nothing"), send(second, "buy", "DOTUSDT", "before-second")]
    before += [send(url, "buy", "LTCUSDT", "before-LTC"), send(url, "close", "LTCUSDT", "before-LTC-close")]
    send(url, "buy", "BTCUSDT", "before-BTC")
    home.ended(before)
    # In flight: a signal of each instrument stands still at its stage, and more of its key come behind it.
    (home.at / "now").touch()
    flying = [send(url, "buy", f"{base}USDT", f"flying-{base}") for base in bases]
    flying.append(send(second, "sell", "DOTUSDT", "flying-second", target_position="short"))
    for stage in (*STAGES.values(), "second-leg"):
        wait_for((home.at / stage).exists, stage)
    flying += [send(url, "buy", f"{base}USDT", f"behind-{base}") for base in bases]
    flying += [send(url, "close", f"{base}USDT", f"close-{base}") for base in bases[:3]]
    # The supervisor is stopped, so that it starts nothing again; then the router dies, and more comes.
    os.kill(home.up.pid, signal.SIGSTOP)
    os.kill(home.pid("router"), signal.SIGKILL)
    flying += [send(url, action, "DOGEUSDT", f"unread-{n}") for n, action in enumerate(("buy", "close", "buy"))]
    wait_for(lambda: home.known().issuperset(flying), "history to have them")
    # The broker goes before two more, which stay in the spool.
    os.kill(home.pid("nats"), signal.SIGTERM)
    wait_for(lambda: not alive(home.pid("nats")), "the broker to end")
    flying += [send(url, "buy", "AVAXUSDT", "spooled-1"), send(url, "close", "AVAXUSDT", "spooled-2")]
    for name in ("ingress", "risk", "audit", "console"):
        os.kill(home.pid(name), signal.SIGKILL)
    os.kill(home.up.pid, signal.SIGKILL)
    home.up.wait()
    for name in ("ingress-0.spool", "risk.db", "router.db", "audit.db"):
        # What is committed is in files of many times that size; whoever opens them first does this.
        with contextlib.closing(sqlite3.connect(home.path / "data" / name)) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = {"before": before, "flying": flying}
    (home.path / "signals.json").write_text(json.dumps(content, indent=1) + "\n")
    with tarfile.open(target, "w:gz") as archive:
        for path in sorted(home.path.rglob("*")):
            name = path.relative_to(home.path)
            wanted = name.parts[0] in ("data", "vantixs-home", "signals.json") and not name.name.endswith(NOT_PACKED)
            if wanted and path.is_file():
                archive.add(path, str(name), filter=nobody)


def alive(pid: int) -> bool:
    """Whether a process runs; the supervisor that would wait for it is stopped, so it stays as a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def nobody(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        make(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve(), Path(made))
