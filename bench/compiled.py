"""The wheel of this checkout, with compiled modules, installed where nothing but the benchmark finds it."""

import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WHEELS, INSTALLED = ROOT / "build" / "wheel", ROOT / "build" / "bench"


def compiler_lack() -> str:
    """What `make wheel` would miss, or nothing."""
    build = runpy.run_path(str(ROOT / "setup.py"), run_name="vantixs_setup")
    return str(build["compiler_lack"]())


def install_compiled() -> dict[str, str]:
    """Builds the wheel where a source changed, and installs it; returns the environment in which it is what runs."""
    subprocess.run(["make", "--no-print-directory", "wheel"], cwd=ROOT, check=True)
    (wheel,) = WHEELS.glob("*.whl")
    shutil.rmtree(INSTALLED, ignore_errors=True)
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--target", str(INSTALLED)]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(wheel)], check=True)
    environ = {"PYTHONPATH": str(INSTALLED)}
    # Without this, a mistake in the path would measure the sources twice.
    look = [sys.executable, "-c", "import vantixs_risk.evaluation as found; print(found.__file__)"]
    found = Path(subprocess.check_output(look, cwd=INSTALLED, env=os.environ | environ, text=True).strip())
    if not found.is_relative_to(INSTALLED) or found.suffix != ".so":
        raise RuntimeError(f"expected a compiled module in {INSTALLED}, was {found}")
    return environ
