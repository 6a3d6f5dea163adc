"""Wires the console's web page: settings, clients, HTTP."""

from dataclasses import replace

from vantixs.runtime.home import Home, read_secret
from vantixs.runtime.http_server import HttpServer
from vantixs.runtime.instances import claim
from vantixs.runtime.lifecycle import Lifecycle, StartupError, run
from vantixs.runtime.settings import load

from vantixs_console.clients import open_clients
from vantixs_console.page import Page
from vantixs_console.settings import ConsoleSettings


def main(overrides: dict[str, str]) -> int:
    """Serves the page until it is told to stop; returns the exit code."""
    settings = claim(load("console", ConsoleSettings, overrides=overrides), "console")

    async def serve(life: Lifecycle) -> None:
        home = Home.open(settings.home)
        kept = home.secrets / "console-token"
        token = settings.token or (read_secret(kept) if kept.is_file() else "")
        if not token:
            raise StartupError("console: expected a token (secrets/console-token or VANTIXS_CONSOLE_TOKEN), was none")
        # The page reads and nothing else: it gets the token that may.
        reading = replace(settings, operator_token="", auditor_token="") if settings.viewer_token else settings
        clients = await open_clients(reading, operator="page")
        clients.find_again(life)
        http = HttpServer(Page(clients, token, life.stopping).app(), settings.http_listen)
        serving = http.start(life)
        life.ready(http=http.url)
        await life.stopped()
        http.stop()
        await life.finish(serving)
        await clients.close()

    return run(settings, "console", serve)
