"""The wheel with compiled modules, in an environment of its own, as the image installs it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT

# Runs in the new environment: everything it imports of us is from the wheel.
EXECUTE = """
import sys
from pathlib import Path

import vantixs_ingress.domain.signal.read_signal, vantixs_risk.evaluation
from vantixs.testing.stack import RunningStack

for module in (vantixs_ingress.domain.signal.read_signal, vantixs_risk.evaluation):
    assert module.__file__.startswith(sys.prefix) and module.__file__.endswith(".so"), module.__file__
stack = RunningStack(Path(sys.argv[1])).start()
try:
    answer = stack.send({"action": "buy", "symbol": "BTCUSDT"})
    assert answer.status_code == 202, answer.text
    signal_id = answer.json()["signal_id"]
    assert stack.ended([signal_id])[signal_id]["status"] == "SIGNAL_STATUS_EXECUTED"
finally:
    assert stack.stop() == 0
print("executed")
"""


@pytest.mark.long
def test_wheel_with_compiled_modules_accepts_and_executes_a_signal(tmp_path: Path) -> None:
    subprocess.run(["make", "--no-print-directory", "wheel"], cwd=ROOT, check=True)
    (wheel,) = (ROOT / "build" / "wheel").glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--require-hashes", "-r", ROOT / "requirements" / "main.txt"], check=True)
    subprocess.run([*pip, "--no-deps", wheel], check=True)
    environ = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    command = [python, "-c", EXECUTE, tmp_path / "home"]
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "executed"
