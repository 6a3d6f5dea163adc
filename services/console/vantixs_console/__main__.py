"""`python -m vantixs_console` is the `vantixs` command."""

import sys

from vantixs_console.cli import main

sys.exit(main())
