"""The wheel: it holds every file that is read at run time, runs without the sources beside it, and names what it needs."""

import ast
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from vantixs.runtime.nats_config import server_binary
from vantixs.runtime.startup import StartupError

from tests.support.paths import ROOT

ROOTS = ("libs", *(f"services/{name}" for name in ("ingress", "risk", "router", "audit", "console")))
COPIED = ("libs", "services", "requirements", "pyproject.toml", "setup.py", "README.md", "LICENSE")
NOT_COPIED = shutil.ignore_patterns("__pycache__", "*.so", "*.egg-info", "build")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy: setuptools leaves its `build` directory beside the sources."""
    copy, out = tmp_path_factory.mktemp("sources"), tmp_path_factory.mktemp("wheel")
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=NOT_COPIED)
        elif source.is_file():
            shutil.copy(source, copy / name)
    command = [sys.executable, "-m", "pip", "wheel", str(copy), "--no-deps", "--no-build-isolation", "--no-index"]
    environ = {k: v for k, v in os.environ.items() if not k.startswith("VANTIXS_")}
    done = subprocess.run(
        [*command, "--disable-pip-version-check", "-w", str(out)],
        capture_output=True,
        text=True,
        env=environ,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return next(out.glob("*.whl"))


def test_wheel_holds_every_file_of_every_package(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    skipped = ("__pycache__", ".egg-info")
    wanted = {
        str(path.relative_to(ROOT / root))
        for root in ROOTS
        for package in (ROOT / root).glob("vantixs*")
        if package.is_dir() and not package.name.endswith(".egg-info")
        for path in package.rglob("*")
        if path.is_file() and path.suffix not in (".so", ".pyc") and not any(s in str(path) for s in skipped)
    }
    assert {Path(name).suffix for name in wanted} >= {".py", ".pyi", ".html", ".css", ".js", ".mako", ".jsonl"}
    assert wanted - held == set()


def test_demo_and_page_work_from_the_wheel_alone(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    code = (
        "import json; from vantixs_console import demo, page; "
        f"assert demo.__file__.startswith({str(tmp_path)!r}), demo.__file__; "
        "rows = [json.loads(line) for line in demo.ALERTS.read_text().splitlines()]; "
        "page.Page(None, 'x', None)._templates.get_template('signals.html'); print(len(rows))"
    )
    environ = os.environ | {"PYTHONPATH": str(tmp_path / "site")}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=environ, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 20


def requirements(name: str) -> list[str]:
    lines = (ROOT / "requirements" / f"{name}.in").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_wheel_requires_what_the_lock_is_made_of(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        name = next(n for n in opened.namelist() if n.endswith(".dist-info/METADATA"))
        required = re.findall(r"^Requires-Dist: (.+)$", opened.read(name).decode(), re.MULTILINE)
    extras = [f'{name}; extra == "{extra}"' for extra in ("parquet", "dev") for name in requirements(extra)]
    assert sorted(required) == sorted([*extras, *requirements("main")])


def test_every_import_is_declared() -> None:
    provided = importlib.metadata.packages_distributions()
    declared = set(re.findall(r"^[a-z][a-z0-9-]*", (ROOT / "requirements" / "main.in").read_text(), re.MULTILINE))
    undeclared: dict[str, str] = {}
    for path in (p for root in ROOTS for p in (ROOT / root).rglob("*.py") if "testing" not in p.parts):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            for top in {name.partition(".")[0] for name in names}:
                if top in sys.stdlib_module_names or top.startswith("vantixs"):
                    continue
                if not declared & {name.lower().replace("_", "-") for name in provided.get(top, [])}:
                    undeclared[top] = str(path.relative_to(ROOT))
    assert undeclared == {}


def test_every_module_that_a_container_runs_is_imported_when_the_image_is_built() -> None:
    done = subprocess.run(
        [sys.executable, "-v", str(ROOT / "deploy" / "import_all.py")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    imported = set(re.findall(r"^import '([\w.]+)'", done.stderr, re.MULTILINE))
    mains = {f"vantixs_{name}.main" for name in ("ingress", "risk", "router", "audit", "console")}
    assert mains | {"vantixs_console.commands", "psycopg", "uvloop", "alembic"} <= imported


def test_installation_without_nats_server_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(StartupError, match=r"expected .*nats-server, found none; the container image has none"):
        server_binary()


def test_compose_promises_the_addresses_that_it_publishes() -> None:
    """Without a variable set: `${NAME:-default}` stands for its default."""
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", (ROOT / "docker-compose.yml").read_text())
    services = dict(re.findall(r"^  ([a-z]+):\n((?:    .*\n|\n)+)", text, re.MULTILINE))
    published = {name: re.search(r'ports: \["([\d.]+:\d+):(\d+)"\]', services[name]) for name in ("ingress", "console")}
    promised = dict(re.findall(r"--(http|console)-url=http://(\S+)", services["bootstrap"]))
    for name, option in (("ingress", "http"), ("console", "console")):
        found = published[name]
        assert found, name
        assert promised[option] == found[1]
        assert f"HTTP_LISTEN: 0.0.0.0:{found[2]}\n" in services[name]
    assert f'PUBLIC_URL: "http://{promised["http"]}"' in services["ingress"]
    read = [(ROOT / name).read_text() for name in ("README.md", "docker-compose.yml")]
    assert not [text for text in read if "logs bootstrap" in text]
