"""The source distribution: a wheel of it, installed without the network and without a C compiler, runs the system."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.support.paths import ROOT

COPIED = (
    "CHANGELOG.md", "LICENSE", "MANIFEST.in", "NOTICE", "README.md", "libs", "protos", "pyproject.toml", "requirements",
    "services", "setup.py",
)  # fmt: skip
NOT_COPIED = shutil.ignore_patterns("__pycache__", "*.so", "*.egg-info", "build")
ROOTS = ("libs", *(f"services/{name}" for name in ("ingress", "risk", "router", "audit", "console")))
# Runs in the new environment: everything it imports of us is from the wheel.
EXECUTE = """
import sys
from pathlib import Path
import vantixs_ingress, vantixs_risk
from vantixs.testing.stack import RunningStack
for module in (vantixs_ingress, vantixs_risk):
    assert module.__file__.startswith(sys.prefix), module.__file__
stack = RunningStack(Path(sys.argv[1]))
try:
    stack.start()
    signal_id = stack.send({"action": "buy", "symbol": "BTCUSDT"}).json()["signal_id"]
    print(stack.ended([signal_id])[signal_id]["status"])
finally:
    assert stack.stop() == 0
"""


def run(*command: object, cwd: Path, **environ: str) -> str:
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONPATH" and not k.startswith("VANTIXS_")}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=kept | environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made of a copy: setuptools leaves its directories beside the sources."""
    copy, out = tmp_path_factory.mktemp("sources"), tmp_path_factory.mktemp("sdist")
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=NOT_COPIED)
        else:
            shutil.copy(source, copy / name)
    call = f"import setuptools.build_meta as b; b.build_sdist({str(out)!r})"
    run(sys.executable, "-W", "ignore", "-c", call, cwd=copy)
    return next(out.glob("vantixs_signals-*.tar.gz"))


def wheel_of(sdist: Path, out: Path, **environ: str) -> tuple[Path, str]:
    """The wheel, and what building it said."""
    pip = [sys.executable, "-m", "pip", "wheel", "-v", "--no-deps", "--no-build-isolation", "--no-index"]
    said = run(*pip, "--disable-pip-version-check", "-w", out, sdist, cwd=out, **environ)
    return next(out.glob("vantixs_signals-*.whl")), said


@pytest.fixture(scope="module")
def built(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    return wheel_of(sdist, tmp_path_factory.mktemp("wheel"), CC="no-such-compiler")


def link_requirements(names: list[str], site: Path) -> None:
    """Puts what these distributions need, as this environment has it, into another one."""
    waiting, found = list(names), set()
    while waiting:
        text = waiting.pop()
        match = re.match(r"([A-Za-z0-9._-]+)(\[\w+\])?", text)
        assert match
        name, extra = match[1], (match[2] or "").strip("[]")
        wanted_extra = re.search(r"extra == ['\"](\w+)", text)
        if (wanted_extra and not extra) or (name, extra) in found:
            continue
        found.add((name, extra))
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # Of another version of Python or another system.
        for required in distribution.requires or []:
            of_extra = re.search(r"extra == ['\"](\w+)", required)
            if not of_extra or of_extra[1] == extra:
                waiting.append(required.split(";")[0])
        for file in distribution.files or []:
            _link(distribution, file, site)


def _link(distribution: importlib.metadata.Distribution, file: importlib.metadata.PackagePath, site: Path) -> None:
    """A package is linked as a whole, so that it shares its bytecode: to compile all of it takes longer than the test."""
    if file.parts[0] == "..":
        # Of the programs beside the modules only nats-server is needed; the others are for the other interpreter.
        if file.name == "nats-server":
            (site / ".." / ".." / ".." / "bin" / file.name).symlink_to(str(file.locate()))
        return
    top = Path(str(distribution.locate_file(file.parts[0])))
    whole = top.is_file() or top.suffix == ".dist-info" or (top / "__init__.py").exists()
    source, target = (top, site / file.parts[0]) if whole else (Path(str(file.locate())), site / str(file))
    if source.exists() and not target.exists() and "__pycache__" not in file.parts:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(source)


def test_sdist_holds_what_the_wheel_is_made_of(sdist: Path, built: tuple[Path, str]) -> None:
    with tarfile.open(sdist) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    assert {"setup.py", "requirements/main.in", "requirements/dev.in", "requirements/parquet.in"} <= names
    assert {str(path.relative_to(ROOT)) for path in (ROOT / "protos").rglob("*.proto")} <= names
    assert not [name for name in names if name.endswith((".pyc", ".so")) or name.startswith("tests/")]
    held = set(zipfile.ZipFile(built[0]).namelist())
    wanted = {
        str(path.relative_to(ROOT / root))
        for root in ROOTS
        for package in (ROOT / root).glob("vantixs*")
        if package.is_dir() and package.suffix != ".egg-info"
        for path in package.rglob("*")
        if path.is_file() and path.suffix not in (".so", ".pyc") and "__pycache__" not in path.parts
    }
    assert wanted - held == set()


def test_wheel_of_the_sdist_is_plain_python_without_a_compiler_and_says_so(built: tuple[Path, str]) -> None:
    wheel, said = built
    assert wheel.name.endswith("-none-any.whl")
    assert "plain Python" in said


def test_compiling_without_a_compiler_fails_and_says_what_is_missing(sdist: Path, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="expected a C compiler, found no no-such-compiler"):
        wheel_of(sdist, tmp_path, CC="no-such-compiler", VANTIXS_COMPILE="1")


def test_sdist_runs_in_an_environment_of_its_own(built: tuple[Path, str], tmp_path: Path) -> None:
    environment = tmp_path / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", environment, cwd=tmp_path)
    [site] = environment.glob("lib/python*/site-packages")
    lines = (ROOT / "requirements" / "main.in").read_text().splitlines()
    link_requirements([line for line in lines if line and not line.startswith("#")], site)
    python = environment / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index"]
    run(*pip, "--disable-pip-version-check", built[0], cwd=tmp_path)
    version = importlib.metadata.version("vantixs-signals")
    said = run(environment / "bin" / "vantixs", "--version", cwd=tmp_path)
    assert said == f"vantixs-signals {version}, plain Python\n"
    assert run(python, "-c", EXECUTE, tmp_path / "home", cwd=tmp_path) == "SIGNAL_STATUS_EXECUTED\n"
