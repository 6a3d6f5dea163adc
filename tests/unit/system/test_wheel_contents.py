"""What goes into the wheel, and what of it is compiled."""

import os
import re
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

from tests.support.paths import ROOT

BUILD = SimpleNamespace(**runpy.run_path(str(ROOT / "setup.py"), run_name="vantixs_setup"))


def test_every_module_listed_for_compiling_or_left_out_of_it_exists() -> None:
    listed = [f"{directory}/{name}.py" for directory, names in BUILD.COMPILED.items() for name in names]
    assert [path for path in listed if not (ROOT / path).is_file()] == []
    assert [directory for directory in BUILD.COMPILED if not list((ROOT / directory).glob("*.py"))] == []


def test_what_frameworks_inspect_is_not_compiled_and_the_hot_path_is() -> None:
    compiled = BUILD.compiled_sources()
    unfit = re.compile(r"^class \w+\([^)]*(Servicer|asyncio\.Protocol|HttpToolsProtocol|H11Protocol)", re.MULTILINE)
    assert [path for path in compiled if unfit.search((ROOT / path).read_text())] == []
    assert "services/risk/vantixs_risk/server.py" not in compiled
    hot = (
        "ingress/vantixs_ingress/domain/payload/redaction",
        "ingress/vantixs_ingress/domain/signal/read_signal",
        "risk/vantixs_risk/evaluation",
    )
    assert {f"services/{name}.py" for name in hot} <= set(compiled)


def test_no_compiled_file_lies_beside_a_source() -> None:
    assert [path for tree in ("libs", "services") for path in (ROOT / tree).rglob("*.so")] == []


def test_every_file_of_a_package_that_is_no_module_is_package_data() -> None:
    packaging = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    patterns = [pattern for names in packaging["package-data"].values() for pattern in names]
    packages = [f"{tree}/vantixs*" for tree in packaging["packages"]["find"]["where"]]
    # setuptools takes stubs along by itself. What is new and not yet added to git counts as well: it would be missing in a wheel that is built now.
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *packages]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    files = [Path(name) for name in names if not name.endswith((".py", ".pyi")) and (ROOT / name).is_file()]
    assert files
    assert [path for path in files if not any(path.match(pattern) for pattern in patterns)] == []


def test_compiling_without_a_compiler_says_so_at_once() -> None:
    environ = {**os.environ, "CC": "no-such-compiler", "VANTIXS_COMPILE": "1"}
    command = [sys.executable, "setup.py", "--version"]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.strip() == "VANTIXS_COMPILE=1: expected a C compiler, found no no-such-compiler"
