"""The client, with an event loop and without."""

from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from google.protobuf.message import Message

from vantixs.client.accounts import Accounts, AsyncAccounts, AsyncPositions, Positions
from vantixs.client.blocking import Blocking, blocking, finish, iterating, open_transport
from vantixs.client.calls import Calls, Policy, Transport
from vantixs.client.contracts import STUBS
from vantixs.client.orders import AsyncOrders, Orders
from vantixs.client.places import given_settings, home_settings, http_of
from vantixs.client.replays import AsyncReplays, Replays
from vantixs.client.signals import AsyncSignals, Signals
from vantixs.client.stubs import PolicyChannel
from vantixs.client.trading import AsyncTrading, Trading
from vantixs.client.waiting import WaitingTransport
from vantixs.runtime.settings import ServiceSettings, SettingsError

POLICY = Policy()


class AsyncClient:
    """The services of a system, for programs with an event loop; used as `async with AsyncClient.from_home(...) as client`."""

    def __init__(
        self, transport: Transport, *, policy: Policy = POLICY, http: Callable[[], str] = str, home: Path | None = None
    ) -> None:
        self._calls = Calls(transport, policy, http)
        self.signals = AsyncSignals(self._calls, home)
        self.orders = AsyncOrders(self._calls)
        self.positions = AsyncPositions(self._calls)
        self.accounts = AsyncAccounts(self._calls)
        self.trading = AsyncTrading(self._calls)
        self.replays = AsyncReplays(self._calls)

    @classmethod
    def from_home(
        cls, home: str | Path, *, token: str = "", operator: str = "", policy: Policy = POLICY
    ) -> "AsyncClient":
        """The services that run in a home, with its operator's token where none is given, or else its auditor's or viewer's.

        `operator` is the name under which history has what is asked for.

        Raises:
            SettingsError: a setting cannot be used, or there is no token.
        """
        settings = home_settings(home)
        transport = WaitingTransport(settings, token=_token(settings, token), operator=operator)
        return cls(transport, policy=policy, http=http_of(settings), home=settings.home)

    @classmethod
    def connect(
        cls,
        addresses: Mapping[str, str],
        *,
        token: str,
        operator: str = "",
        http: str = "",
        tls_ca: str | Path = "",
        tls_certificate: str | Path = "",
        tls_key: str | Path = "",
        policy: Policy = POLICY,
    ) -> "AsyncClient":
        """Services at addresses, for example {"risk": "10.0.0.5:7000,10.0.0.6:7000", "audit": "audit.internal:7000"}.

        Host names are looked up again where a call fails. `http` is where ingress takes signals, for `signals.send`. With
        `tls_ca`, a file in PEM, calls are made with TLS; the other two are the certificate to show, and its key.

        Raises:
            ValueError: there is no such service.
            SettingsError: a file cannot be used.
        """
        settings = given_settings(addresses, tls_ca=tls_ca, tls_certificate=tls_certificate, tls_key=tls_key)
        transport = WaitingTransport(settings, token=token, operator=operator)
        return cls(transport, policy=policy, http=http_of(settings, http))

    async def call(self, request: Message, *, timeout_s: float | None = None) -> Any:
        """The response to any request of the contracts, for example to `risk_pb2.ListEquityRequest(...)`."""
        return await self._calls.ask(request, timeout_s)

    async def pages(self, request: Message, *, timeout_s: float | None = None) -> AsyncIterator[Any]:
        """Every item of any request that lists, asked for page by page."""
        async for item in self._calls.pages(request, timeout_s):
            yield item

    def stub(self, service: str) -> Any:
        """A service's generated stub whose calls go by this client's policy and raise AioRpcError."""
        transport = self._calls.transport
        if not isinstance(transport, WaitingTransport):
            raise TypeError("stub: expected a client that was made by from_home or connect")
        return STUBS[service](PolicyChannel(self._calls, transport.replicas[service].channel))

    async def close(self) -> None:
        """Ends every connection."""
        await self._calls.transport.close()

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class Client(Blocking[AsyncClient]):
    """The services of a system, for programs without an event loop; used as `with Client.from_home(...) as client`.

    It may be used by several threads.
    """

    def __init__(
        self, transport: Transport, *, policy: Policy = POLICY, http: Callable[[], str] = str, home: Path | None = None
    ) -> None:
        inner = AsyncClient(transport, policy=policy, http=http, home=home)
        super().__init__(inner)
        self.signals = Signals(inner.signals)
        self.orders = Orders(inner.orders)
        self.positions = Positions(inner.positions)
        self.accounts = Accounts(inner.accounts)
        self.trading = Trading(inner.trading)
        self.replays = Replays(inner.replays)

    @classmethod
    def from_home(cls, home: str | Path, *, token: str = "", operator: str = "", policy: Policy = POLICY) -> "Client":
        """As `AsyncClient.from_home`."""
        settings = home_settings(home)
        transport = open_transport(settings, token=_token(settings, token), operator=operator)
        return cls(transport, policy=policy, http=http_of(settings), home=settings.home)

    @classmethod
    def connect(
        cls,
        addresses: Mapping[str, str],
        *,
        token: str,
        operator: str = "",
        http: str = "",
        tls_ca: str | Path = "",
        tls_certificate: str | Path = "",
        tls_key: str | Path = "",
        policy: Policy = POLICY,
    ) -> "Client":
        """As `AsyncClient.connect`."""
        settings = given_settings(addresses, tls_ca=tls_ca, tls_certificate=tls_certificate, tls_key=tls_key)
        transport = open_transport(settings, token=token, operator=operator)
        return cls(transport, policy=policy, http=http_of(settings, http))

    call = blocking(AsyncClient.call)
    pages = iterating(AsyncClient.pages)

    def close(self) -> None:
        """Ends every connection."""
        finish(self._inner.close())

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _token(settings: ServiceSettings, given: str) -> str:
    if found := given or settings.operator_token or settings.auditor_token or settings.viewer_token:
        return found
    raise SettingsError(f"home {settings.home}: expected an operator's, auditor's or viewer's token, found none")
