"""Changes one comparison or operator of risk's domain at a time, and runs the tests: who survives?

    python -m tests.support.mutants [MODULE ...]        prints each survivor, then the score as the last line

Mutants run in forked processes, two at a time; everything that is slow to import is imported once before.
"""

import ast
import importlib.abc
import importlib.machinery
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import hypothesis
import pytest
import sqlalchemy
import vantixs.api.journal.v1.journal_pb2
import vantixs.api.risk.v1.risk_pb2_grpc
import vantixs.runtime.database
import vantixs.runtime.outbox

from tests.support.paths import ROOT

DOMAIN = ROOT / "services/risk/vantixs_risk/domain"
TESTS = [
    "tests/unit/risk/test_checks.py",
    "tests/unit/risk/test_ledger.py",
    "tests/unit/risk/test_equity.py",
    "tests/unit/risk/test_sizing.py",
    "tests/unit/risk/test_resting_orders.py",
    "tests/unit/risk/test_resting_settlement.py",
    "tests/unit/risk/test_risk_breakers.py",
    "tests/unit/risk/test_risk_orders.py",
    "tests/unit/risk/test_risk_time.py",
    "tests/property/risk/test_conservation.py",
]
LIMIT_S, WORKERS = 60, 2
LOADED = (hypothesis, pytest, sqlalchemy, vantixs)

SWAPS: dict[type, list[type]] = {
    ast.Lt: [ast.LtE, ast.Gt],
    ast.LtE: [ast.Lt, ast.Gt],
    ast.Gt: [ast.GtE, ast.Lt],
    ast.GtE: [ast.Gt, ast.Lt],
    ast.Eq: [ast.NotEq],
    ast.NotEq: [ast.Eq],
    ast.In: [ast.NotIn],
    ast.NotIn: [ast.In],
    ast.Is: [ast.IsNot],
    ast.IsNot: [ast.Is],
    ast.Add: [ast.Sub],
    ast.Sub: [ast.Add],
    ast.Mult: [ast.Add],
    ast.Div: [ast.Mult],
    ast.FloorDiv: [ast.Mult],
    ast.Mod: [ast.Add],
    ast.And: [ast.Or],
    ast.Or: [ast.And],
}
CALLS = {"min": "max", "max": "min", "any": "all", "all": "any", "divide_down": "divide_up", "divide_up": "divide_down"}


def mutations(tree: ast.Module) -> Iterator[tuple[str, Any, Any]]:
    """Each change as (what, do, undo)."""
    annotations = {id(inner) for node in ast.walk(tree) for inner in _annotations(node)}
    for node in ast.walk(tree):
        if id(node) in annotations:
            continue
        match node:
            case ast.Compare():
                for index, operator in enumerate(node.ops):
                    for other in SWAPS.get(type(operator), []):
                        yield _set(node, node.ops, index, other())
            case ast.BinOp() | ast.BoolOp() | ast.AugAssign():
                for other in SWAPS.get(type(node.op), []):
                    yield _assign(node, "op", other())
            case ast.UnaryOp(op=ast.Not()):
                yield _assign(node, "op", ast.UAdd(), wrap=True)
            case ast.UnaryOp(op=ast.USub()):
                yield _assign(node, "op", ast.UAdd())
            case ast.Call(func=ast.Name(id=name)) if name in CALLS:
                yield _assign(node.func, "id", CALLS[name])
            case _:
                pass


def _annotations(node: ast.AST) -> Iterator[ast.AST]:
    for field in ("annotation", "returns"):
        found = getattr(node, field, None)
        if found is not None:
            yield from ast.walk(found)


def _set(node: Any, holder: list[Any], index: int, value: Any) -> tuple[str, Any, Any]:
    before = holder[index]
    what = f"line {node.lineno}: {type(before).__name__} to {type(value).__name__}"
    return what, lambda: holder.__setitem__(index, value), lambda: holder.__setitem__(index, before)


def _assign(node: Any, name: str, value: Any, *, wrap: bool = False) -> tuple[str, Any, Any]:
    before = getattr(node, name)
    shown = value if isinstance(value, str) else type(value).__name__
    what = f"line {node.lineno}: {before if isinstance(before, str) else type(before).__name__} to {shown}"
    if not wrap:
        return what, lambda: setattr(node, name, value), lambda: setattr(node, name, before)
    # `not x` becomes `bool(x)`, and not `+x`, which most values do not know.
    inner = node.operand
    asked = ast.copy_location(ast.Call(ast.Name("bool", ast.Load()), [inner], []), node)
    twice = ast.fix_missing_locations(ast.UnaryOp(ast.Not(), asked))
    return what, lambda: setattr(node, "operand", twice), lambda: setattr(node, "operand", inner)


class Mutated(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module from a tree."""

    def __init__(self, name: str, path: Path, tree: ast.Module) -> None:
        self._name, self._path, self._tree = name, path, tree

    def find_spec(self, name: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        return importlib.machinery.ModuleSpec(name, self, origin=str(self._path)) if name == self._name else None

    def create_module(self, spec: Any) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        module.__file__ = str(self._path)
        exec(compile(ast.fix_missing_locations(self._tree), str(self._path), "exec"), module.__dict__)


def run(name: str, path: Path, tree: ast.Module) -> int:
    """Forks a process that runs the tests on the tree; returns its pid. It ends with 0 where every test passed."""
    child = os.fork()
    if child:
        return child
    signal.alarm(LIMIT_S)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    sys.meta_path.insert(0, Mutated(name, path, tree))
    os.chdir(ROOT)
    arguments = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", "--hypothesis-seed=1"]
    # Hypothesis is imported already, which is the point.
    arguments += ["-W", "ignore::pytest.PytestAssertRewriteWarning", *TESTS]
    os._exit(int(pytest.main(arguments)))
    return 0


def main() -> None:
    chosen = sys.argv[1:] or sorted(p.stem for p in DOMAIN.glob("*.py") if p.stem != "__init__")
    assert not any(name.startswith("vantixs_risk") for name in sys.modules), "the tests have to import it themselves"
    running: dict[int, str] = {}
    total = caught = 0
    # A run that fails by itself would catch everything.
    unchanged = DOMAIN / f"{chosen[0]}.py"
    _, status = os.waitpid(run(f"vantixs_risk.domain.{chosen[0]}", unchanged, ast.parse(unchanged.read_text())), 0)
    assert status == 0, "the tests do not pass on the code as it is"

    def wait() -> None:
        nonlocal caught
        pid, status = os.wait()
        what = running.pop(pid)
        if status == 0:
            print(f"survived: {what}", flush=True)
        else:
            caught += 1

    for stem in chosen:
        path = DOMAIN / f"{stem}.py"
        tree = ast.parse(path.read_text())
        for what, do, undo in list(mutations(tree)):
            while len(running) >= WORKERS:
                wait()
            do()
            running[run(f"vantixs_risk.domain.{stem}", path, tree)] = f"{stem}.py {what}"
            undo()
            total += 1
    while running:
        wait()
    print(f"{caught} of {total} caught, {100 * caught / total:.1f} %")


if __name__ == "__main__":
    main()
