"""Compiles the modules on the hot paths to C with mypyc, beside their sources (ADR 15).

The sources stay what runs where there is no C compiler: the same, and about half as fast. Left out are modules that cannot be
compiled, such as gRPC servicers (grpc.aio asks `inspect.iscoroutinefunction`), and what nobody waits for.

Usage: python deploy/native.py            compile what has changed since the last time
       python deploy/native.py --check    1 where compiled modules are older than their sources
       python deploy/native.py --remove   remove what was compiled: everything runs as Python
"""

import hashlib
import os
import shutil
import sys
import sysconfig
import tempfile
from pathlib import Path

from setuptools import Extension, setup

ROOT = Path(__file__).resolve().parent.parent
# Holds the digest of what was compiled last, or of what could not be.
STAMP = Path(sys.prefix) / ".native"
HOMES = {
    "vantixs": "libs",
    **{f"vantixs_{name}": f"services/{name}" for name in ("ingress", "risk", "router", "audit")},
}
INGRESS = (
    "addresses", "answers", "authentication", "claims", "conversion", "credentials", "door", "entries", "gate", "limits", "relay",
    "signatures", "spool", "spool_file", "statuses", "wire",
)  # fmt: skip
RISK = ("books", "clock", "conversion", "desk", "evaluation", "fields", "settlement", "store", "wire")
MODULES = (
    "libs/vantixs/model/decimals.py",
    "libs/vantixs/model/ids.py",
    "libs/vantixs/runtime/trace.py",
    "services/ingress/vantixs_ingress/domain/[!_]*.py",
    *(f"services/ingress/vantixs_ingress/{name}.py" for name in INGRESS),
    "services/risk/vantixs_risk/domain/[!_]*.py",
    *(f"services/risk/vantixs_risk/{name}.py" for name in RISK),
)
FLAGS = ["-O2", "-g0", "-w"]
PROBE = "#include <Python.h>\n"


def sources() -> list[str]:
    """The modules to compile, as paths from the root."""
    return sorted(str(path.relative_to(ROOT)) for pattern in MODULES for path in ROOT.glob(pattern))


def can_compile(directory: Path) -> bool:
    """Whether there is a C compiler, and Python's headers for it."""
    probe = directory / "vantixs_probe.c"
    probe.write_text(PROBE)
    try:
        build([Extension("vantixs_probe", [str(probe)])], directory / "probe")
    except SystemExit:
        return False
    return True


def build(extensions: list[Extension], directory: Path) -> None:
    """Compiles into a directory. Ends the process where it fails."""
    command = ["--quiet", "build_ext", f"--build-lib={directory}", f"--build-temp={directory}.tmp"]
    setup(name="vantixs-native", ext_modules=extensions, script_args=[*command, f"--parallel={os.cpu_count()}"])


def digest() -> str:
    """What the compiled modules were made of: their sources, the lock, the interpreter, this file."""
    found = hashlib.sha256(sys.version.encode())
    for name in (*sources(), "requirements/dev.txt", "pyproject.toml", "deploy/native.py"):
        found.update(f"{name}\n".encode() + (ROOT / name).read_bytes())
    return found.hexdigest()


def compiled() -> list[Path]:
    """What was compiled before."""
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    return [path for package, home in HOMES.items() for path in (ROOT / home / package).rglob(f"*{suffix}")]


def remove() -> None:
    """Removes it."""
    STAMP.unlink(missing_ok=True)
    for old in compiled():
        old.unlink()


def compile_all() -> str:
    """Compiles all or nothing; returns what to tell of it."""
    from mypyc.build import mypycify  # noqa: PLC0415 - it takes a second, and is seldom needed

    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        if not can_compile(directory):
            return "no C compiler or no Python headers: everything runs as Python, about half as fast"
        paths = ["--config-file=pyproject.toml", *sources()]
        made = mypycify(paths, group_name="vantixs.native", target_dir=str(directory / "c"))
        for extension in made:
            extension.extra_compile_args = FLAGS
        build(made, directory / "lib")
        for package, home in HOMES.items():
            if (directory / "lib" / package).exists():
                shutil.copytree(directory / "lib" / package, ROOT / home / package, dirs_exist_ok=True)
    return f"{len(sources())} modules compiled"


def main() -> int:
    """One of the usages above."""
    os.chdir(ROOT)
    if sys.argv[1:] == ["--remove"]:
        remove()
        return 0
    if STAMP.exists() and STAMP.read_text() == digest():
        return 0
    if sys.argv[1:] == ["--check"]:
        if compiled():
            print("native: compiled modules are older than their sources: run `make setup`")
        return int(bool(compiled()))
    remove()
    print("native: compiling, about a minute ...", flush=True)
    print(f"native: {compile_all()}")
    STAMP.write_text(digest())
    return 0


if __name__ == "__main__":
    sys.exit(main())
