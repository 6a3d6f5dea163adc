"""Checks that have no tool of their own: the lock, contracts against main, names that may not be committed, decisions."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent


def lock_problems() -> list[str]:
    """The lock holds every requirement, a hash for each, and no host."""
    problems = []
    for name in ("main", "dev"):
        text = (ROOT / f"requirements/{name}.txt").read_text()
        if "://" in text or "--index-url" in text or "--find-links" in text:
            problems.append(f"requirements/{name}.txt names a host")
        pins = re.findall(r"^([A-Za-z0-9_.-]+)==", text, re.MULTILINE)
        blocks = re.split(r"^(?=[A-Za-z0-9_.-]+==)", text, flags=re.MULTILINE)[1:]
        bare = [pin for pin, block in zip(pins, blocks, strict=True) if "--hash=" not in block]
        problems += [f"requirements/{name}.txt: {pin} has no hash" for pin in bare]
        wanted = re.findall(r"^([a-z][A-Za-z0-9_.-]*)", (ROOT / f"requirements/{name}.in").read_text(), re.MULTILINE)
        problems += [f"requirements/{name}.txt lacks {want} (run `make lock`)" for want in wanted if want not in pins]
    if (ROOT / "uv.lock").exists():
        problems.append("uv.lock may not be there: it names hosts")
    return problems


def breaking_problems() -> list[str]:
    """Contracts break nothing that main holds; on main itself, nothing that the commit before holds."""
    branch = _git("rev-parse", "--abbrev-ref", "HEAD")
    base = "HEAD~1" if branch in ("main", "HEAD") else "main"
    if _git("rev-parse", "--verify", "--quiet", f"{base}:protos/buf.yaml") == "":
        return []  # The first commit has nothing to break.
    revision = _git("rev-parse", base)
    command = [str(BIN / "buf"), "breaking", "protos", "--against", f".git#ref={revision},subdir=protos"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return [] if done.returncode == 0 else [done.stdout + done.stderr]


def path_problems() -> list[str]:
    """No file names a package registry's host or a home directory of this machine."""
    hosts = re.compile(r"(files|pypi|index|registry|deb|security)\.[a-z0-9]+\.(org|net|io|com)|https?://[^ ]*/simple\b")
    problems = []
    for name in _git("ls-files").splitlines():
        path = ROOT / name
        if path.suffix in (".png", ".ico") or not path.is_file():
            continue
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            if hosts.search(line) and name != "docs/check.py":
                problems.append(f"{name}:{number}: names a package registry's host")
    return problems


def decision_problems() -> list[str]:
    """Each decision begins with its number and title, its status and its date."""
    form = re.compile(
        r"# (?P<number>\d+)\. [A-Z].*\n\n"
        r"Status: (proposed|accepted|superseded by \[ADR \d+\]\([^)]+\))\n"
        r"Date: 20\d\d-\d\d-\d\d\n"
    )
    problems = []
    for path in sorted((ROOT / "docs" / "adr").glob("[0-9]*.md")):
        found = form.match(path.read_text())
        if found is None or int(found["number"]) != int(path.name[:4]):
            wanted = f"`# {int(path.name[:4])}. Title`, an empty line, `Status: accepted` and `Date: YYYY-MM-DD`"
            problems.append(f"docs/adr/{path.name}: expected to begin with {wanted}")
    return problems


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()


def main() -> int:
    """Prints every problem."""
    problems = lock_problems() + breaking_problems() + path_problems() + decision_problems()
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
