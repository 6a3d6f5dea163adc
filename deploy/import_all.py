"""Imports every module that a container runs, so that their bytecode is in the image, and that of no other module.

The image's user may not write there: without bytecode every start would compile again, at 4 s of CPU.
"""

import importlib
import pkgutil

import vantixs_console.commands
from vantixs.runtime.settings import SERVICES

# Imported when a database is opened.
for module in ("alembic.command", "psycopg", "sqlalchemy.dialects.sqlite"):
    importlib.import_module(module)
for service in SERVICES:
    importlib.import_module(f"vantixs_{service}.main")
for found in pkgutil.walk_packages(vantixs_console.commands.__path__, "vantixs_console.commands."):
    importlib.import_module(found.name)
