"""Log files: bounded, whole lines, and never a reason to stop."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from vantixs.runtime.log_output import LINE_BYTES, LogFile
from vantixs.runtime.settings import SettingsError

# A process that logs `count` lines from four threads, and raw lines as a library in C does, then tells what was dropped.
LOGS = """
import os, sys, threading
from pathlib import Path
from vantixs.runtime import logs
from vantixs.runtime.log_output import DROPPED, LogFile, output
path, size, files, count, text, told = sys.argv[1:7]
logs.configure("risk", "0", "info", "json")
output.take(LogFile(Path(path), int(size), int(files)))
def work(number):
    for line in range(int(count)):
        logs.log.info("line", thread=number, line=line, text=text * 40)
threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
[t.start() for t in threads]
[t.join() for t in threads]
Path(told).write_text(str(int(DROPPED._value.get())))
"""


def run(path: Path, size: int, files: int, count: int, text: str = "x") -> int:
    """Runs it; returns how many lines were dropped."""
    told = path.parent.parent / "told"
    arguments = [str(a) for a in (path, size, files, count, text, told)]
    subprocess.run([sys.executable, "-c", LOGS, *arguments], check=True, timeout=60)
    return int(told.read_text())


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    (tmp_path / "logs").mkdir()
    return tmp_path / "logs"


def test_no_line_is_lost_or_torn_and_a_restart_appends(logs: Path) -> None:
    for _ in range(2):
        assert run(logs / "risk.log", 1 << 17, 50, 2_000) == 0
    rows = [json.loads(line) for path in logs.iterdir() for line in path.read_text().splitlines()]
    assert len(rows) == 2 * 4 * 2_000
    assert {(r["thread"], r["line"]) for r in rows} == {(t, n) for t in range(4) for n in range(2_000)}
    assert len(list(logs.iterdir())) > 3
    # The oldest has the highest number: each thread's lines in it come before those in what follows.
    older, newer = (
        [json.loads(line) for line in path.read_text().splitlines()]
        for path in (logs / "risk.log.1", logs / "risk.log")
    )
    last = {row["thread"]: row["line"] for row in older}
    assert last
    assert all(row["line"] > last.get(row["thread"], -1) for row in newer)


def test_files_are_bounded_in_number_and_size(logs: Path) -> None:
    for number in (3, 4, 5):
        (logs / f"risk.log.{number}").write_text("of a time when more were kept")
    assert run(logs / "risk.log", 1 << 16, 3, 2_000) == 0
    assert {p.name for p in logs.iterdir()} == {"risk.log", "risk.log.1", "risk.log.2"}
    assert all(p.stat().st_size < (1 << 16) + 1_000 for p in logs.iterdir())
    assert all(p.stat().st_mode & 0o777 == 0o600 for p in logs.iterdir())


def test_very_long_values_and_lines_are_cut(logs: Path) -> None:
    code = """
import sys, logging
from pathlib import Path
from vantixs.runtime import logs
from vantixs.runtime.log_output import LogFile, output
logs.configure("risk", "0", "info", "json")
output.take(LogFile(Path(sys.argv[1]), 1 << 20, 3))
logs.log.info("long", text="a" * 1_000_000 + "end", many=["b" * 50_000], number=7)
try:
    raise ValueError("c" * 1_000_000)
except ValueError:
    logs.log.exception("failed")
logging.getLogger("lib").warning("d\\u20ac" * 1_000_000)
output.write("e\\u20ac" * 1_000_000 + "\\n")
logs.log.info("next")
"""
    subprocess.run([sys.executable, "-c", code, logs / "risk.log"], check=True, timeout=60)
    lines = (logs / "risk.log").read_bytes().splitlines()
    assert max(map(len, lines)) <= LINE_BYTES
    long, failed, library, written, following = lines
    assert json.loads(long)["text"].endswith("characters left out] " + "a" * 4_997 + "end")
    assert json.loads(long)["number"] == 7
    assert "Traceback" in json.loads(failed)["exception"]
    assert "characters left out" in json.loads(library)["detail"]
    assert written.decode().endswith(" [cut]")
    assert json.loads(following)["event"] == "next"


def test_full_disk_drops_lines_and_stops_nothing(logs: Path) -> None:
    (logs / "risk.log").symlink_to("/dev/full")
    assert run(logs / "risk.log", 1 << 16, 3, 10) == 40


def test_line_that_fits_in_part_is_taken_back(logs: Path) -> None:
    """A file size limit takes a part of a write and then fails, as a disk does that is nearly full."""
    code = """
import resource, signal, sys
from pathlib import Path
from vantixs.runtime import logs
from vantixs.runtime.log_output import DROPPED, LogFile, output
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
logs.configure("risk", "0", "info", "json")
output.take(LogFile(Path(sys.argv[1]), 1 << 20, 3))
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, resource.RLIM_INFINITY))
for number in range(20):
    logs.log.info("line", number=number)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
logs.log.info("space again", dropped=DROPPED._value.get())
"""
    subprocess.run([sys.executable, "-c", code, logs / "risk.log"], check=True, timeout=60)
    *kept, last = [json.loads(line) for line in (logs / "risk.log").read_text().splitlines()]
    assert [row["number"] for row in kept] == list(range(len(kept)))
    assert last["dropped"] == 20 - len(kept) > 0


def test_file_that_cannot_be_put_aside_takes_twice_its_size_and_no_more(logs: Path) -> None:
    (logs / ".risk.log.new").mkdir()
    dropped = run(logs / "risk.log", 1 << 16, 3, 2_000)
    kept = (logs / "risk.log").read_text().splitlines()
    assert dropped == 8_000 - len(kept) > 0
    assert 1 << 17 <= (logs / "risk.log").stat().st_size < (1 << 17) + 1_000


def test_output_of_libraries_is_bounded_and_a_moved_file_is_made_again(logs: Path) -> None:
    code = """
import asyncio, os, sys
from pathlib import Path
from vantixs.runtime import log_output
log_output.CHECK_S = 0.01
log_output.output.take(log_output.LogFile(Path(sys.argv[1]), 1 << 16, 3))
async def main():
    watch = asyncio.create_task(log_output.output.watch())
    for _ in range(200):
        os.write(2, b"C" * 9_999 + b"\\n")
        await asyncio.sleep(0.005)
    os.rename(sys.argv[1], sys.argv[1] + ".moved")
    while not os.path.exists(sys.argv[1]):
        await asyncio.sleep(0.005)
    os.write(1, b"here\\n")
asyncio.run(main())
"""
    subprocess.run([sys.executable, "-c", code, logs / "risk.log"], check=True, timeout=60)
    assert (logs / "risk.log").read_text() == "here\n"
    assert sum(p.stat().st_size for p in logs.iterdir()) < 200 * 10_000 / 2


@pytest.mark.parametrize("kind", ["directory", "named pipe", "no directory", "another's"])
def test_unwritable_log_file_is_one_line_that_names_it(logs: Path, kind: str) -> None:
    path = logs / "risk.log"
    if kind == "directory":
        path.mkdir()
    elif kind == "named pipe":
        os.mkfifo(path)
    elif kind == "no directory":
        logs.rmdir()
    else:
        path.write_text("")
        path.chmod(0o400)
    with pytest.raises(SettingsError, match=r"log file .*risk\.log: expected .* move it away, or give it"):
        as_another_user(LogFile(path, 1 << 16, 3).open) if kind == "another's" else LogFile(path, 1 << 16, 3).open()


def as_another_user(work: "object") -> None:
    """Calls it in a thread that has not root's rights to every file; raises what it raised."""
    raised: list[BaseException] = []

    def run_as() -> None:
        import ctypes

        if os.geteuid() == 0:
            ctypes.CDLL(None).syscall(SETFSUID[os.uname().machine], 65534)
        try:
            work()  # type: ignore[operator]
        except SettingsError as error:
            raised.append(error)

    thread = threading.Thread(target=run_as)
    thread.start()
    thread.join()
    for error in raised:
        raise error


SETFSUID = {"x86_64": 122, "aarch64": 151}
