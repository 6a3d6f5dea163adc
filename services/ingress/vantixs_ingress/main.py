"""Wires ingress: settings, spool, journal, webhooks, door, gRPC."""

from vantixs.api.ingress.v1 import ingress_pb2_grpc, webhook_pb2
from vantixs.runtime.grpc_server import Server
from vantixs.runtime.home import Home
from vantixs.runtime.http_server import HttpServer
from vantixs.runtime.journal import Journal
from vantixs.runtime.kv import KvTable
from vantixs.runtime.lifecycle import Lifecycle, run
from vantixs.runtime.metrics import serve_metrics
from vantixs.runtime.settings import load

from vantixs_ingress.door import Door
from vantixs_ingress.gate import Gate, make_gate
from vantixs_ingress.relay import Relay
from vantixs_ingress.server import NAME, ROLES, WebhookServicer, gate_keeper
from vantixs_ingress.settings import IngressSettings
from vantixs_ingress.spool import Spool


def main(overrides: dict[str, str]) -> int:
    """Runs ingress until it is told to stop; returns the exit code."""
    settings = load("ingress", IngressSettings, overrides=overrides)

    async def serve(life: Lifecycle) -> None:
        home = Home.open(settings.home)
        spool = Spool(home.data / f"ingress-{settings.instance}.spool", settings.spool_max_bytes)
        life.health.tolerate("journal")
        journal = Journal(settings, life.health)
        gates: dict[str, Gate] = {}
        for webhook_id, _, data in spool.webhooks():
            gates[webhook_id] = make_gate(webhook_pb2.Webhook.FromString(data))
        table = KvTable(
            journal,
            "vantixs-webhooks",
            "webhook",
            webhook_pb2.Webhook,
            replicas=settings.journal_replicas,
            on_change=gate_keeper(gates, spool),
        )
        door = Door(gates, spool, life.health, settings)
        http = HttpServer(door.app(), settings.http_listen, connections=settings.connections_max)
        server = Server(settings, life.health, roles=ROLES)
        servicer = WebhookServicer(table, spool, lambda: settings.public_url or http.url)
        server.add(ingress_pb2_grpc.add_WebhookServiceServicer_to_server, servicer, NAME)
        address = await server.start()
        stop_metrics, metrics = serve_metrics(settings.metrics_listen)
        journal.start(life)
        table.start(life)
        relaying = life.spawn(Relay(spool, journal, life.health).run(life.stopping), name="relay")
        life.spawn(door.learn(table), name="webhooks-loaded")
        serving = http.start(life)
        life.ready(grpc=address, http=http.url, metrics=metrics)
        await life.stopped()
        http.stop()
        await life.finish(serving, relaying)
        await server.stop(settings.stop_grace_s)
        await journal.close()
        await spool.close()
        stop_metrics()

    return run(settings, "ingress", serve)
