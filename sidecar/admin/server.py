"""The admin listener: health, metrics, status and a few orders, on aiohttp's low-level server.

Not the data plane, and no way to a secret: it sees the process through a `View`,
which has none. The rule: every request passes the admission first, and everything
that is not an answer of an endpoint is problem+json. aiohttp's own error pages
quote the request, so they are replaced.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import Awaitable, Callable, Collection

from aiohttp import web

from sidecar.admin import page, problem
from sidecar.admin.admission import Admission
from sidecar.admin.describe import Described, credential, describe
from sidecar.admin.health import held_down, why_not_ready, without_first_token
from sidecar.admin.view import View
from sidecar.credentials.status import CredentialStatus
from sidecar.errors import Answerable, ConfigError, CredentialError, NothingToReload, StartError

_log = logging.getLogger(__name__)

# Prometheus, a kubelet and a person with a browser together hold a handful.
_CONNECTIONS_MOST = 100
# Also the time for the first head of a connection.
_KEEPALIVE_S = 30.0
_GRACE_S = 2.0
_READ_METHODS = frozenset({"GET", "HEAD"})
_HEADERS = {
    "Server": "sidecar",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}

Handler = Callable[[web.BaseRequest], Awaitable[web.Response]]


class AdminServer:
    """Answers on one socket.

    Args:
        view: the process.
        render_metrics: takes the Accept value, or None, and returns the metrics and their content type.
        quit_enabled: whether `POST /-/quit` acts.
        loopback: whether only this machine can reach the socket; else health and metrics alone are served.
        now: wall clock in seconds.
        own_hosts: names by which it is known beside localhost, 127.0.0.1, [::1] and the one it is bound to.
    """

    def __init__(
        self,
        view: View,
        render_metrics: Callable[[str | None], tuple[bytes, str]],
        *,
        quit_enabled: bool,
        loopback: bool,
        now: Callable[[], float],
        own_hosts: Collection[str] = (),
    ) -> None:
        self._view = view
        self._render_metrics = render_metrics
        self._quit_enabled = quit_enabled
        self._loopback = loopback
        self._now = now
        self._started = False
        self._runner: web.ServerRunner | None = None
        self._names: list[str] = []
        self._port: int | None = None
        self.know_as(own_hosts)
        self._reads: dict[str, Handler] = {
            "/": self._page,
            "/livez": self._livez,
            "/healthz": self._livez,
            "/startupz": self._startupz,
            "/readyz": self._readyz,
            "/metrics": self._metrics,
            "/status": self._status,
        }
        self._orders: dict[str, Handler] = {
            "/-/refresh": self._refresh,
            "/-/reload": self._reload,
            "/-/quit": self._quit,
        }

    async def start(self, sock: socket.socket) -> None:
        """Serve on a socket that is bound already, and own it from here on."""
        if sock.family != socket.AF_UNIX:
            host, self._port = sock.getsockname()[:2]
            self._names.append(f"[{host}]:{self._port}" if ":" in host else f"{host}:{self._port}")
        self.know_as(self._own_hosts)
        self._runner = web.ServerRunner(_Server(self._answer), shutdown_timeout=_GRACE_S)
        await self._runner.setup()
        await web.SockSite(self._runner, sock).start()

    def know_as(self, own_hosts: Collection[str]) -> None:
        """Go by these names from now on, beside those that it always has."""
        self._own_hosts = own_hosts
        names = [*own_hosts, *self._names]
        self._admission = Admission(loopback=self._loopback, own_hosts=names, port=self._port)

    async def stop(self) -> None:
        """Close the socket and every connection; an answer under way has two seconds."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        try:
            self._admission.admit(request)
            response = await self._dispatch(request)
        except Answerable as error:
            response = problem.of_error(error)
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    async def _dispatch(self, request: web.BaseRequest) -> web.Response:
        path = request.path
        if path in self._orders:
            if request.method != "POST":
                return _method_not_allowed(path, "POST")
            return await self._orders[path](request)
        is_credential = path.startswith("/readyz/")
        if not is_credential and path not in self._reads:
            return problem.answer(404, "Not found", "There is no such path; / lists those there are.")
        if request.method not in _READ_METHODS:
            return _method_not_allowed(path, "GET, HEAD")
        if is_credential:
            return self._readyz_of(path.removeprefix("/readyz/"))
        return await self._reads[path](request)

    # Health

    async def _livez(self, request: web.BaseRequest) -> web.Response:
        return web.Response(text="ok\n")

    async def _startupz(self, request: web.BaseRequest) -> web.Response:
        missing = [] if self._started else without_first_token(self._view)
        # A credential that a reload adds later does not undo the start.
        self._started = self._started or not missing
        return _json({"started": self._started, "waiting_for": missing}, 200 if self._started else 503)

    async def _readyz(self, request: web.BaseRequest) -> web.Response:
        credentials = self._view.credentials()
        answer = self._readiness(self._view.draining, credentials)
        if "verbose" in request.query:
            answer["held_down"] = held_down(self._view.routes)
            answer["credentials"] = [credential(status, self._now()) for status in credentials]
        return _json(answer, 200 if answer["ready"] else 503)

    def _readyz_of(self, name: str) -> web.Response:
        credentials = [status for status in self._view.credentials() if status.name == name]
        if not credentials:
            return problem.answer(404, "Not found", "There is no credential of that name.")
        answer = self._readiness(self._view.draining, credentials)
        answer["credentials"] = [credential(status, self._now()) for status in credentials]
        return _json(answer, 200 if answer["ready"] else 503)

    def _readiness(self, draining: bool, credentials: Collection[CredentialStatus]) -> Described:
        reasons = why_not_ready(draining, tuple(credentials))
        told = [
            {"credential": item.credential, "state": item.state, "reason": item.reason, "remedy": item.remedy}
            for item in reasons
        ]
        return {"ready": not reasons, "reasons": told}

    # What is seen

    async def _metrics(self, request: web.BaseRequest) -> web.Response:
        body, content_type = self._render_metrics(request.headers.get("Accept"))
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def _status(self, request: web.BaseRequest) -> web.Response:
        return _json(describe(self._view, self._now()))

    async def _page(self, request: web.BaseRequest) -> web.Response:
        return web.Response(
            text=page.render(self._view, self._now()),
            content_type="text/html",
            headers={"Content-Security-Policy": page.POLICY, "Referrer-Policy": "no-referrer"},
        )

    # Orders

    async def _refresh(self, request: web.BaseRequest) -> web.Response:
        name = request.query.get("credential")
        if name is not None and all(status.name != name for status in self._view.credentials()):
            return problem.answer(404, "Not found", "There is no credential of that name.")
        failure = ""
        try:
            await self._view.refresh(name)
        except CredentialError as error:
            failure = error.detail
        after = [status for status in self._view.credentials() if name in (None, status.name)]
        told: Described = {"credentials": [credential(status, self._now()) for status in after]}
        if failure:
            return problem.answer(502, "Exchange failed", failure, told)
        return _json(told)

    async def _reload(self, request: web.BaseRequest) -> web.Response:
        try:
            await self._view.reload()
        except ConfigError as error:
            return problem.of_mistakes([str(mistake) for mistake in error.mistakes])
        except StartError as error:
            return problem.of_mistakes([str(error)])
        except NothingToReload as error:
            return problem.answer(409, "Nothing to reload", str(error))
        return _json({"reloaded": True})

    async def _quit(self, request: web.BaseRequest) -> web.Response:
        if not self._quit_enabled:
            return problem.answer(403, "Refused", "The configuration does not allow it: set admin.quit to true.")
        self._view.quit()
        return _json({"quitting": True})


class _Connection(web.RequestHandler):
    """One connection, whose errors are ours."""

    __slots__ = ("_server",)

    def __init__(self, server: web.Server) -> None:
        # aiohttp takes None for "no access log"; its annotation does not.
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]
            keepalive_timeout=_KEEPALIVE_S,
        )
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection in, or cut it where there are too many."""
        super().connection_made(transport)
        if len(self._server.connections) > _CONNECTIONS_MOST:
            self.force_close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what the parser refused, or what broke here; never with the bytes that came."""
        if status >= 500:
            _log.error("the admin listener could not answer", exc_info=exc)
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun already")
        detail = "The request is not HTTP." if status < 500 else "Something broke here; the log says what."
        response = problem.answer(status, "Bad request" if status < 500 else "Internal error", detail)
        response.headers.update(_HEADERS)
        response.force_close()
        return response


class _Server(web.Server):
    """Makes connections."""

    def __call__(self) -> web.RequestHandler:
        """Return the protocol of a new connection."""
        return _Connection(self)


def _json(value: Described, status: int = 200) -> web.Response:
    body = json.dumps(value, indent=2).encode() + b"\n"
    return web.Response(status=status, body=body, content_type="application/json")


def _method_not_allowed(path: str, allowed: str) -> web.Response:
    response = problem.answer(405, "Method not allowed", f"{path} takes {allowed}.")
    response.headers["Allow"] = allowed
    return response
