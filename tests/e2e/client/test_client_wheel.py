"""The client's own wheel: built, put into an environment with what it requires and nothing else, and used there."""

import importlib.metadata
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from vantixs.testing.stack import RunningStack

from tests.support.paths import ROOT

NOT_COPIED = shutil.ignore_patterns("__pycache__", "*.so", "*.egg-info", "build")
# What services run on.
FOREIGN = "sqlalchemy alembic starlette uvicorn uvloop nats httpx structlog prometheus_client typer rich jinja2 psycopg"
USE = f"""
import sys
import vantixs.client
assert vantixs.client.__file__.startswith(sys.prefix), vantixs.client.__file__
from vantixs.client import Client
with Client.from_home(sys.argv[1]) as client:
    sent = client.signals.send({{"action": "buy", "symbol": "BTCUSDT"}})
    print(client.signals.wait(sent.signal_id).signal.filled_quantity)
print(sorted(set({FOREIGN!r}.split()) & set(sys.modules)))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy: setuptools leaves its `build` directory beside the sources."""
    copy, out = tmp_path_factory.mktemp("sources") / "libs", tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT / "libs", copy, ignore=NOT_COPIED)
    command = [sys.executable, "-m", "pip", "wheel", str(copy), "--no-deps", "--no-build-isolation", "--no-index"]
    command += ["--disable-pip-version-check", "-w", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(out.glob("vantixs_client-*.whl"))


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that has the wheel and what it requires, as this one has it."""
    environment = tmp_path_factory.mktemp("environment") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    [site] = environment.glob("lib/python*/site-packages")
    zipfile.ZipFile(wheel).extractall(site)
    with zipfile.ZipFile(wheel) as opened:
        name = next(n for n in opened.namelist() if n.endswith(".dist-info/METADATA"))
        required = re.findall(r"^Requires-Dist: (.+)$", opened.read(name).decode(), re.MULTILINE)
    for distribution in _closure(required):
        for file in importlib.metadata.distribution(distribution).files or []:
            if ".." not in file.parts and (source := Path(str(file.locate()))).is_file():
                target = site / str(file)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.symlink_to(source)
    return environment / "bin" / "python"


def _closure(required: list[str]) -> set[str]:
    """The distributions that these need, and those that they need, without extras."""
    found: set[str] = set()
    waiting = list(required)
    while waiting:
        text = waiting.pop()
        name = re.match(r"[A-Za-z0-9._-]+", text)
        if name is None or "extra ==" in text or name[0] in found:
            continue
        try:
            more = importlib.metadata.requires(name[0])
        except importlib.metadata.PackageNotFoundError:
            continue  # Of another version of Python or another system.
        found.add(name[0])
        waiting += more or []
    return found


def test_client_works_with_what_it_requires_and_nothing_else(python: Path, stack: RunningStack) -> None:
    command = [python, "-W", "error", "-c", USE, str(stack.home)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={}, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    quantity, foreign = done.stdout.splitlines()
    assert float(quantity) > 0
    assert foreign == "[]"


def test_environment_of_the_client_has_nothing_that_services_run_on(python: Path) -> None:
    code = f"import importlib.util as u; print([n for n in {FOREIGN!r}.split() if u.find_spec(n)])"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True, env={})
    assert done.stdout.strip() == "[]"


def test_both_distributions_have_one_version_and_only_what_is_locked() -> None:
    whole, alone = (tomllib.loads((ROOT / path / "pyproject.toml").read_text())["project"] for path in (".", "libs"))
    assert (alone["version"], alone["requires-python"]) == (whole["version"], whole["requires-python"])
    assert set(alone["dependencies"]) <= set((ROOT / "requirements" / "main.in").read_text().split())
