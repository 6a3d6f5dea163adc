"""What is tested is what the sources say: compiled modules are never older than they are."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).parent.parent.parent


def test_compiled_modules_are_as_new_as_their_sources() -> None:
    done = subprocess.run(
        [sys.executable, "deploy/native.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_all_modules_are_compiled_or_none(tmp_path: Path) -> None:
    with mock.patch.object(sys, "path", [str(ROOT / "deploy"), *sys.path]):
        native = import_module("native")
    # libs/vantixs/model/ids.py and services/risk/vantixs_risk/wire.py are vantixs.model.ids and vantixs_risk.wire.
    names = [path[path.index("vantixs") :].removesuffix(".py").replace("/", ".") for path in native.sources()]
    compiled = {str(import_module(name).__file__).endswith(".so") for name in names}
    assert len(compiled) == 1
    # `make setup` leaves the stamp. Where it ran and could compile, it has: nothing else would tell of it but the bench.
    if native.STAMP.exists():
        assert compiled == {native.can_compile(tmp_path)}
