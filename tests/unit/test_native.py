"""What is tested is what the sources say: compiled modules are never older than they are."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def test_compiled_modules_are_as_new_as_their_sources() -> None:
    done = subprocess.run(
        [sys.executable, "deploy/native.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_all_modules_are_compiled_or_none() -> None:
    sys.path.insert(0, str(ROOT / "deploy"))
    try:
        native = import_module("native")
    finally:
        sys.path.remove(str(ROOT / "deploy"))
    names = [str(Path(path).with_suffix("")).split("/", 1)[1] for path in native.sources()]
    modules = [
        name.removeprefix(name.split("/", 1)[0] + "/") if not name.startswith("vantixs") else name for name in names
    ]
    kinds = {import_module(name.replace("/", ".")).__file__.endswith(".so") for name in modules}  # type: ignore[union-attr]
    assert len(kinds) == 1, kinds
