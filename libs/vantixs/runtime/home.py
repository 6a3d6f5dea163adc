"""The home directory: data, generated secrets, logs, run files."""

import contextlib
import json
import os
import secrets
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vantixs.runtime.startup import StartupError

MARKER = "vantixs-home"
VERSION = "1"
STORES = "stores.json"  # In `data`: the identities of the home's stores. A new home has this file, so a missing one was lost.
SECRETS = (
    "nats-token",
    "viewer-token",
    "auditor-token",
    "operator-token",
    "service-token",
    "console-token",
    "signing-key",
    "payload-key",
)
# The secrets that all machines of a system share, in the file of `vantixs init --export`.
SHARED = (*SECRETS, "postgres-password", "nats-route-password", "history-key")
# Exports of earlier versions lack these; a missing one is made.
LATER = ("history-key", "auditor-token", "payload-key")
EXPORT, EXPORT_BYTES = "vantixs-secrets", 64 << 10
ENCRYPTING = (
    "signing-key",
    "payload-key",
)  # Stored data cannot be read with another key, so a lost one is not made again by itself.


@dataclass(frozen=True, slots=True)
class Home:
    """A checked home directory."""

    path: Path

    @property
    def data(self) -> Path:
        """Databases, spools and the journal."""
        return self.path / "data"

    @property
    def secrets(self) -> Path:
        """Generated secrets, directory 0700, files 0600."""
        return self.path / "secrets"

    @property
    def logs(self) -> Path:
        """One log file a process."""
        return self.path / "logs"

    @property
    def run(self) -> Path:
        """endpoints.json and one file a running service."""
        return self.path / "run"

    @classmethod
    def open(cls, path: Path, *, create: bool = False) -> "Home":
        """Checks the directory; with `create`, makes it.

        Raises:
            StartupError: missing, not writable, of another program, or of a newer version.
        """
        path = path.absolute()
        marker = path / MARKER
        try:
            if create and not marker.exists():
                path.mkdir(parents=True, exist_ok=True)
                foreign = sorted(p.name for p in path.iterdir() if _is_foreign(p))
                if foreign:
                    raise StartupError(f"home {path}: expected an empty directory or one of ours, found {foreign[0]!r}")
                (path / "data").mkdir(exist_ok=True)
                write_atomically(path / "data" / STORES, "{}\n", mode=0o600)
                write_atomically(marker, VERSION + "\n")
            if not marker.is_file():
                raise StartupError(
                    f"home {path}: expected a directory made by `vantixs up` or `vantixs init`, was none"
                )
            if (found := marker.read_text().strip()) != VERSION:
                raise StartupError(f"home {path}: expected version {VERSION}, was {found[:20]!r}")
            home = cls(path)
            for directory in (home.data, home.logs, home.run):
                directory.mkdir(exist_ok=True)
            home.secrets.mkdir(exist_ok=True)
            home.protect()
            with tempfile.TemporaryFile(dir=home.data) as probe:
                probe.write(b"\0" * 4096)
        except OSError as error:
            where = error.filename if isinstance(error.filename, str | Path) else path
            detail = f"expected a writable directory, {error.strerror or error}: {where}; make it writable"
            raise StartupError(f"home {path}: {detail}") from None
        return home

    def protect(self) -> None:
        """Removes all permissions of other users on the home's files, which were 0644 in older versions.

        Files of another owner are not changed: in a volume that containers share, their owner protects them.
        """
        for directory, _, files in os.walk(self.path):
            for path in (directory, *(os.path.join(directory, name) for name in files)):
                # Files come and go while services run.
                with contextlib.suppress(FileNotFoundError, PermissionError):
                    facts = os.lstat(path)
                    if facts.st_mode & 0o077 and not stat.S_ISLNK(facts.st_mode):
                        os.chmod(path, facts.st_mode & 0o700)

    @property
    def has_stores(self) -> bool:
        """Whether a service has stored something here; then a missing secret was lost."""
        return any(self.data.glob("*.spool")) or any(self.data.glob("*.db")) or (self.data / "nats").exists()

    def secret(self, name: str) -> str:
        """The secret of that name, made (256 bits) the first time.

        Raises:
            StartupError: the secret is empty, or cannot be read or made; or it is missing although data that it
                encrypts exists.
        """
        path = self.secrets / name
        remedy = "put it back from a copy, or remove the file to have another one made"
        if name in ENCRYPTING:
            remedy = f"put it back from a copy, or run `vantixs init --new-{name}`, which gives up what it encrypts"
        try:
            had_it = self._had(name)  # Read before the file, because another process may make both in between.
            if not path.exists():
                if had_it:
                    raise StartupError(
                        f"secrets/{name}: expected the key that stored data is encrypted with, found none; {remedy}"
                    )
                self._make_secret(name)
            if name in ENCRYPTING and name in LATER and not (mark := self._mark_of(name)).exists():
                write_atomically(mark, "")
        except OSError as error:
            raise StartupError(
                f"{path}: expected a directory in which a secret can be made, {error.strerror}"
            ) from None
        try:
            found = read_secret(path)
        except StartupError as error:
            raise StartupError(f"{error}; {remedy}") from None
        if not found:
            raise StartupError(f"secrets/{name}: expected text, was empty; {remedy}")
        return found

    def _mark_of(self, name: str) -> Path:
        """The file that records that the home had the key.

        Homes of an earlier version lack the file, and have lost nothing.
        """
        return self.data / f"{name}.made"

    def _had(self, name: str) -> bool:
        """Whether the home had the key: then a missing key was lost."""
        if name not in ENCRYPTING:
            return False
        if name in LATER:
            return self._mark_of(name).exists()
        return self.has_stores

    def _make_secret(self, name: str) -> None:
        """Makes a missing secret, 256 bits. If another process makes it at the same time, that one is kept."""
        made = self.secrets / f".{name}.{secrets.token_hex(4)}"
        write_atomically(made, secrets.token_urlsafe(32) + "\n", mode=0o600)
        try:
            os.link(made, self.secrets / name)
        except FileExistsError:
            pass
        except OSError:  # A file system without hard links.
            made.replace(self.secrets / name)
        finally:
            made.unlink(missing_ok=True)

    def export_secrets(self) -> str:
        """The secrets that machines share, as the text of a file for `read_export`. Missing ones are made."""
        return json.dumps({EXPORT: 1, "secrets": {name: self.secret(name) for name in SHARED}}, indent=2) + "\n"

    def import_secrets(self, given: Mapping[str, str]) -> None:
        """Replaces the secrets of an unused home by those of another machine: all of them or none.

        Raises:
            StartupError: a service ran here with another secret; or one cannot be read or written.
        """
        differing = [n for n, v in given.items() if (self.secrets / n).exists() and read_secret(self.secrets / n) != v]
        if differing and self._was_used:
            raise StartupError(
                f"secrets/{differing[0]}: expected the one of the file, was another one that services here have run with; "
                "import into a new home, or remove the secret first where it is to be given up"
            )
        try:
            for name, value in given.items():
                write_atomically(self.secrets / name, value + "\n", mode=0o600)
        except OSError as error:
            raise StartupError(f"{self.secrets}: expected a writable directory, {error.strerror}") from None

    @property
    def _was_used(self) -> bool:
        """Whether a service has run here. With a database on a server, `data` has only the record of that."""
        try:
            recorded = (self.data / STORES).read_text().strip()
        except OSError:
            recorded = ""
        return self.has_stores or recorded not in ("", "{}")

    def replace_secret(self, name: str) -> None:
        """Makes a new secret in place of the old one, 256 bits."""
        write_atomically(self.secrets / name, secrets.token_urlsafe(32) + "\n", mode=0o600)


def _is_foreign(path: Path) -> bool:
    """Whether the directory is neither a home nor empty, such as a mount point."""
    return path.name not in ("settings.toml", "secrets") and not (path.is_dir() and not any(path.iterdir()))


def read_secret(path: Path) -> str:
    """A secret's file, without the newline.

    Raises:
        StartupError: it cannot be read.
    """
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "was not UTF-8"
        raise StartupError(f"{path}: expected a text file that this user can read, {reason}") from None


def read_export(text: str, source: str) -> dict[str, str]:
    """The secrets in a text of `Home.export_secrets`.

    Raises:
        StartupError: the text is something else, or lacks a secret; the error never contains a secret.
    """
    try:
        content = json.loads(text)
    except ValueError:
        content = None
    if not isinstance(content, dict) or EXPORT not in content:
        raise StartupError(f"{source}: expected what `vantixs init --export` wrote, was another thing")
    if content[EXPORT] != 1 or not isinstance(given := content.get("secrets"), dict):
        raise StartupError(f"{source}: expected {EXPORT} 1 with secrets, was {str(content[EXPORT])[:20]!r}")
    for name in SHARED:
        value = given.get(name)
        if value is None and name in LATER:
            continue
        if not isinstance(value, str) or not value.strip() or not value.isprintable():
            was = "missing" if value is None else "empty" if value == "" else "another thing"
            raise StartupError(f"{source}: secrets.{name}: expected text of one line, was {was}")
    if unknown := sorted(given.keys() - set(SHARED)):
        raise StartupError(f"{source}: secrets: expected {len(SHARED)} known names, was one more: {unknown[0][:40]!r}")
    return {name: given[name].strip() for name in SHARED if name in given}


def write_atomically(path: Path, text: str, *, mode: int = 0o600) -> None:
    """Writes the file whole or not at all, fsynced."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        os.write(descriptor, text.encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    partial.replace(path)
