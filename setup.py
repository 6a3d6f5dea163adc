"""Builds the wheel. With VANTIXS_COMPILE=1 in the environment, the modules on the hot paths are compiled into it (ADR 18).

Everything else, `pip install -e .` for one, takes the sources as they are and needs no compiler.
"""

import os
import re
import shutil
import sys
import sysconfig
from pathlib import Path

from setuptools import Extension, setup

ROOT = Path(__file__).resolve().parent
# Directories whose modules are compiled, as their path gains more than a tenth by it (ADR 46), and which of them are not, because
# no signal waits for them.
COMPILED: dict[str, tuple[str, ...]] = {
    "services/ingress/vantixs_ingress/domain/payload": (),
    "services/ingress/vantixs_ingress/domain/signal": (),
    "services/risk/vantixs_risk": ("accounts", "adjustment", "main", "settings", "trading"),
    "services/risk/vantixs_risk/domain": (),
}  # fmt: skip
# Never compiled: grpc.aio asks `inspect` what kind of function it is given, and takes a compiled coroutine function for a plain
# one.
UNFIT = re.compile(r"_pb2_grpc\b")


def compiled_sources() -> list[str]:
    """The modules to compile, as paths from the root."""
    found = [
        path.relative_to(ROOT)
        for directory, left_out in COMPILED.items()
        for path in (ROOT / directory).glob("*.py")
        if path.stem not in ("__init__", *left_out) and not UNFIT.search(path.read_text())
    ]
    return sorted(map(str, found))


def compiler_lack() -> str:
    """What is missing to compile, or nothing."""
    compiler = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
    if not shutil.which(compiler):
        return f"expected a C compiler, found no {compiler}"
    headers = Path(sysconfig.get_path("include"), "Python.h")
    return "" if headers.exists() else f"expected Python's headers, found no {headers}"


def extensions() -> list[Extension]:
    """The compiled modules; their C is written to `build/`."""
    if lack := compiler_lack():
        sys.exit(f"VANTIXS_COMPILE=1: {lack}")
    from mypyc.build import mypycify  # noqa: PLC0415 - only where it compiles: it is no requirement of an installation

    arguments = ["--config-file=pyproject.toml", *compiled_sources()]
    return list(mypycify(arguments, group_name="vantixs.native", opt_level="2", debug_level="0"))


if __name__ == "__main__":
    wanted = os.environ.get("VANTIXS_COMPILE") == "1"
    if not wanted:
        # Shown by `pip -v`; `vantixs --version` says it of an installation.
        sys.stderr.write("vantixs-signals: plain Python; VANTIXS_COMPILE=1 compiles the hot modules\n")
    setup(ext_modules=extensions() if wanted else [], options={"build_ext": {"parallel": os.cpu_count()}})
