"""The pretend vendor: a token endpoint and an API on one port, with faults on demand.

Not a stand-in for security: it has one made-up account, and its remote control
under `/-/` asks nobody who they are, so it listens on loopback. The rule: what it
says over the wire, it says as the real vendor would (`{"apiKey"}` in, `{"token",
"expiresAt"}` out, errors as `{"message", "code"}`, an `X-Request-Id` on everything).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate

from aiohttp import web

from sidecar.clock import SystemClock
from sidecar.secret import Secret
from sidecar.vendor.api import Api
from sidecar.vendor.control import Control
from sidecar.vendor.faults import Faults
from sidecar.vendor.issuer import Issuer, Verdict
from sidecar.vendor.journal import Entry, Journal
from sidecar.vendor.token_endpoint import TokenEndpoint

DEMO_KEY = "gct_demo_0123456789abcdef"
_ENTRY = web.RequestKey("entry", Entry)
_GRACE_S = 0.5
# A cold start with hundreds of requests connects at once; a full queue would make some of them wait a second.
_BACKLOG = 1024


@dataclass(frozen=True, slots=True)
class VendorOptions:
    """What the vendor is.

    Args:
        api_key: the one key that is exchanged; also the secret of the OAuth client.
        client_id: the OAuth client of `/oauth/token`.
        token_life_s: seconds a token lives.
        log_entries: how many requests the log remembers.
    """

    api_key: Secret = Secret(DEMO_KEY)
    client_id: str = "demo"
    token_life_s: float = 60.0
    log_entries: int = 1000


class Vendor:
    """A server that is both token endpoint and API.

    Args:
        options: what it is.
        now: wall clock in seconds, instead of the machine's; `Date` and every expiry follow it.
    """

    def __init__(self, options: VendorOptions | None = None, now: Callable[[], float] | None = None) -> None:
        self.options = options or VendorOptions()
        self._now = now or SystemClock().wall
        self.issuer = Issuer(self.options.api_key, self.options.token_life_s, self._now)
        self.faults = Faults()
        self.journal = Journal(self.options.log_entries)
        self._runner: web.AppRunner | None = None
        self._url = ""

    @property
    def url(self) -> str:
        """The origin it serves, without a slash at its end; "" before the start."""
        return self._url

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen.

        Args:
            host: name or address.
            port: 0 takes a free one.

        Raises:
            OSError: it cannot listen there.
        """
        self._runner = web.AppRunner(self._application(), access_log=None, shutdown_timeout=_GRACE_S)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port, backlog=_BACKLOG).start()
        except OSError:
            await self.stop()
            raise
        port = self._runner.addresses[0][1]
        self._url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def stop(self) -> None:
        """Close the listener and every connection; what still runs has half a second."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def _application(self) -> web.Application:
        endpoint = TokenEndpoint(self.issuer, self.faults, self.journal, self._exchange_arrived, self.options.client_id)
        application = web.Application()
        application.add_routes(Control(self.issuer, self.faults, self.journal).routes())
        application.add_routes(endpoint.routes())
        application.add_routes(Api(self.issuer, self.faults, self._request_arrived).routes())
        application.on_response_prepare.append(self._sign_answer)
        return application

    def _exchange_arrived(self, request: web.Request) -> Entry:
        entry = self.journal.arrived(self._now(), "token", request.method, request.path)
        request[_ENTRY] = entry
        return entry

    def _request_arrived(self, request: web.Request, verdict: Verdict | None) -> Entry:
        entry = self.journal.arrived(self._now(), "api", request.method, request.path, verdict)
        request[_ENTRY] = entry
        return entry

    async def _sign_answer(self, request: web.Request, response: web.StreamResponse) -> None:
        """Put on every answer what all of them carry, and note its status before its first byte leaves."""
        if request.transport is None or request.transport.is_closing():
            return
        response.headers["Date"] = formatdate(self._now(), usegmt=True)
        response.headers["X-Request-Id"] = secrets.token_hex(8)
        entry = request.get(_ENTRY)
        if entry is not None:
            self.journal.answered(entry, response.status)
