"""Databases as earlier commits wrote them, for tests of upgrades."""

import sqlite3
from pathlib import Path

import psycopg


def dumps(directory: Path, service: str, dialect: str) -> list[Path]:
    """The dumps of a service's databases, oldest revision first."""
    return sorted((directory / service).glob(f"*.{dialect}.sql"))


def restore(dump: Path, url: str) -> None:
    """Runs a dump on an empty database, which an SQLAlchemy URL names."""
    if url.startswith("sqlite:///"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"))
        connection.executescript(dump.read_text())
        connection.close()
        return
    with psycopg.connect(url.replace("postgresql+psycopg://", "postgresql://", 1)) as server:
        server.execute(dump.read_bytes())
