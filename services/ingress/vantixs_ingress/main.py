"""Wires ingress: settings, spool, journal, webhooks, HTTP, gRPC."""

from functools import partial

from vantixs.api.ingress.v1 import ingress_pb2_grpc, webhook_pb2
from vantixs.api.stores.v1 import stores_pb2_grpc
from vantixs.runtime.grpc_server import Server
from vantixs.runtime.home import Home
from vantixs.runtime.http_protocol import Limits
from vantixs.runtime.http_server import HttpServer
from vantixs.runtime.instances import claim
from vantixs.runtime.instruments import Instruments
from vantixs.runtime.journal import Journal
from vantixs.runtime.kv import KvTable, Versioned
from vantixs.runtime.lifecycle import Lifecycle, StartupError, run
from vantixs.runtime.metrics import serve_metrics
from vantixs.runtime.secret_cipher import PayloadCipher, SecretCipher
from vantixs.runtime.settings import load
from vantixs.runtime.store_guard import StoreGuard
from vantixs.runtime.store_service import NAME as STORES
from vantixs.runtime.store_service import ROLES as STORE_ROLES
from vantixs.runtime.store_service import StoreServicer

from vantixs_ingress.http.authentication import Authenticator
from vantixs_ingress.http.client_address import Proxies
from vantixs_ingress.http.client_certificate import CertificateRule
from vantixs_ingress.http.failed_attempts import FailedAttemptLimiter
from vantixs_ingress.http.receive_signal import SignalReceiver
from vantixs_ingress.http.request_metrics import refuse_incomplete
from vantixs_ingress.http.routes import make_app
from vantixs_ingress.http.signal_outcomes import OutcomeReader, SignalOutcomes
from vantixs_ingress.http.signal_status import SignalStatus
from vantixs_ingress.settings import IngressSettings
from vantixs_ingress.spool.lock import own_spool
from vantixs_ingress.spool.relay import Relay
from vantixs_ingress.spool.room import Bounds
from vantixs_ingress.spool.spool import Spool
from vantixs_ingress.webhooks.credentials import Credentials
from vantixs_ingress.webhooks.networks import Network, parse_networks
from vantixs_ingress.webhooks.registry import WebhookRegistry
from vantixs_ingress.webhooks.service import NAME, ROLES, WebhookServicer


def main(overrides: dict[str, str]) -> int:
    """Runs ingress until it is told to stop; returns the exit code."""
    settings = claim(load("ingress", IngressSettings, overrides=overrides), "ingress")

    async def serve(life: Lifecycle) -> None:
        home = Home.open(settings.home)
        signing_key = settings.signing_key or home.secret("signing-key")
        payloads = PayloadCipher.of(settings.payload_key or home.secret("payload-key"))
        cipher, proxies = SecretCipher.of(signing_key), Proxies(_networks(settings.trusted_proxies))
        certificate = certificate_rule(settings)
        place = home.data / f"ingress-{settings.instance}.spool"
        spool = Spool(place, bounds(settings), await own_spool(place, settings.instance, 2 * settings.stop_grace_s))
        life.health.tolerate("journal")
        journal = Journal(settings, life.health, service="ingress", mark=spool.mark())
        journal.start(life)
        guard = StoreGuard(f"ingress-{settings.instance}", spool, settings, journal, life.health)
        await guard.start(life)
        instruments = Instruments(journal, settings, life.health, service="ingress")
        registry = WebhookRegistry(spool, cipher, payloads, settings.records_per_minute, settings.entries_per_minute)
        table = KvTable(
            journal,
            "vantixs-webhooks",
            "webhook",
            webhook_pb2.Webhook,
            replicas=settings.journal_replicas,
            on_change=registry.changed,
            known=[(name, Versioned(webhook_pb2.Webhook.FromString(data), n)) for name, n, data in spool.webhooks()],
        )
        relay, outcomes = Relay(spool, journal, life.health), SignalOutcomes()
        limiter = FailedAttemptLimiter(settings.address_failures_per_minute)
        most = settings.body_max_bytes
        authenticator = Authenticator(registry.snapshots, proxies, certificate, limiter, most, life.health)
        receiver = SignalReceiver(authenticator, spool, relay, outcomes, settings)
        refuse = partial(refuse_incomplete, body_max_bytes=most)
        app = make_app(receiver, SignalStatus(authenticator, outcomes, most), life.health, refuse)
        http = HttpServer(app, settings.http_listen, limits(settings), refuse)
        server = Server(settings, life.health, roles=ROLES | STORE_ROLES)
        servicer = WebhookServicer(
            table,
            registry,
            Credentials(signing_key, cipher),
            lambda: settings.public_url or http.url,
            certificates=bool(certificate.subject_header and settings.trusted_proxies),
        )
        server.add(ingress_pb2_grpc.add_WebhookServiceServicer_to_server, servicer, NAME)
        server.add(stores_pb2_grpc.add_StoreServiceServicer_to_server, StoreServicer(guard), STORES)
        address = await server.start()
        stop_metrics, metrics = serve_metrics(settings.metrics_listen)
        table.start(life)
        instruments.start(life)
        relaying = life.spawn(relay.run(life.stopping), name="relay")
        life.spawn(relay.report(life.stopping), name="report")
        life.spawn(OutcomeReader(outcomes, journal).run(life.stopping), name="statuses")
        life.spawn(servicer.reconcile(life.health, life.stopping), name="reconcile")
        life.spawn(authenticator.wait_until_loaded(table, registry), name="webhooks-loaded")
        serving = http.start(life)
        life.ready(grpc=address, http=http.url, metrics=metrics)
        await life.stopped()
        http.stop()
        await life.finish(serving, relaying)
        await server.stop(settings.stop_grace_s)
        await guard.close()
        await journal.close()
        await spool.close()
        stop_metrics()

    return run(settings, "ingress", serve)


def limits(settings: IngressSettings) -> Limits:
    """The limits of a connection."""
    return Limits(
        connections=settings.connections_max,
        body_bytes=settings.body_max_bytes,
        head_s=settings.head_timeout_s,
        body_s=settings.body_timeout_s,
    )


def bounds(settings: IngressSettings) -> Bounds:
    """The limits of the spool."""
    keep_s = settings.key_retention_days * 86_400
    return Bounds(settings.spool_max_bytes, settings.spool_reserve_bytes, keep_s)


def certificate_rule(settings: IngressSettings) -> CertificateRule:
    """In which headers a proxy reports client certificates."""
    subject, verify = settings.certificate_subject_header.lower(), settings.certificate_verify_header.lower()
    return CertificateRule(subject, verify, settings.certificate_subject)


def _networks(text: str) -> tuple[Network, ...]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    try:
        return parse_networks(names)
    except ValueError as error:
        raise StartupError(f"VANTIXS_INGRESS_TRUSTED_PROXIES: expected CIDRs, {error}") from None
