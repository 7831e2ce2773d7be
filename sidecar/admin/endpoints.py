"""What the admin listener answers, path by path.

No way to a secret: it sees the process through a `View`, which has none.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote

from sidecar.admin.answer import Answer, of_json
from sidecar.admin.describe import Described, credential, describe
from sidecar.admin.health import Reason, held_down, why_not_ready, without_first_token
from sidecar.admin.problem import of_mistakes, problem
from sidecar.admin.view import View
from sidecar.clock import Clock
from sidecar.credentials.status import CredentialStatus
from sidecar.errors import ConfigError, CredentialError, NothingToReload, StartError
from sidecar.messages import RequestHead

if TYPE_CHECKING:
    from sidecar.admin.events import Events
    from sidecar.admin.snapshot import Camera

READ_METHODS = frozenset((b"GET", b"HEAD"))

Query = dict[str, list[str]]


class Endpoints:
    """The paths that there are.

    Args:
        view: the process.
        render_metrics: takes the Accept value, or None, and returns the metrics and their content type.
        quit_enabled: whether `POST /-/quit` acts.
        clock: wall and monotonic.
        page: whether there is the page, with its events. Where nobody may see it, it costs nothing either.
    """

    def __init__(
        self,
        view: View,
        render_metrics: Callable[[str | None], tuple[bytes, str]],
        *,
        quit_enabled: bool,
        clock: Clock,
        page: bool = True,
    ) -> None:
        self._view = view
        self._render_metrics = render_metrics
        self._quit_enabled = quit_enabled
        self._now = clock.wall
        self._started = False
        self._camera: Camera | None = None
        self.events: Events | None = None
        if page:
            from sidecar.admin.events import Events
            from sidecar.admin.snapshot import Camera

            self._camera = Camera(view, clock)
            self.events = Events(self._camera.take)
        self._reads: dict[str, Callable[[Query], Answer]] = {
            "/": self._page,
            "/livez": self._livez,
            "/healthz": self._livez,
            "/startupz": self._startupz,
            "/readyz": self._readyz,
            "/status": self._status,
        }
        self._orders: dict[str, Callable[[Query], Awaitable[Answer]]] = {
            "/-/refresh": self._refresh,
            "/-/reload": self._reload,
            "/-/quit": self._quit,
        }

    def sweep(self) -> None:
        """Keep the last quarter of an hour (called twice a second or so)."""
        if self._camera is not None:
            self._camera.sweep()

    def answer(self, head: RequestHead) -> Answer | Awaitable[Answer] | Events:
        """Return the answer to a request; for an order, what is to be awaited for it; for a page that looks, events."""
        path, _, search = head.target.decode("latin-1").partition("?")
        query = parse_qs(search, keep_blank_values=True)
        if path in self._orders:
            if head.method != b"POST":
                return _method_not_allowed(path, "POST")
            return self._orders[path](query)
        is_credential = path.startswith("/readyz/")
        if not is_credential and path not in self._reads and path not in ("/metrics", "/events"):
            return _nothing_there()
        if head.method not in READ_METHODS:
            return _method_not_allowed(path, "GET, HEAD")
        if is_credential:
            return self._readyz_of(unquote(path.removeprefix("/readyz/")))
        if path == "/metrics":
            return self._metrics(head.fields.value(b"accept"))
        if path == "/events":
            return self._events(head.method)
        return self._reads[path](query)

    # Health

    def _livez(self, query: Query) -> Answer:
        return Answer(200, b"ok\n", "text/plain; charset=utf-8")

    def _startupz(self, query: Query) -> Answer:
        missing = self._note_start()
        told = {
            "started": self._started,
            "waiting_for": [item.credential for item in missing],
            "reasons": _told(missing),
        }
        return of_json(told, 200 if self._started else 503)

    def _note_start(self) -> Sequence[Reason]:
        """See whether every credential has had its first token; that is so for good.

        Whoever asks for anything about health makes this look: a credential that a reload adds later does not undo
        the start, though nobody had asked for that by then.
        """
        missing = [] if self._started else without_first_token(self._view)
        self._started = self._started or not missing
        return missing

    def _readyz(self, query: Query) -> Answer:
        self._note_start()
        credentials = self._view.credentials()
        answer = self._readiness(credentials)
        if "verbose" in query:
            answer["held_down"] = held_down(self._view.routes)
            answer["credentials"] = [credential(status, self._now()) for status in credentials]
        return of_json(answer, 200 if answer["ready"] else 503)

    def _readyz_of(self, name: str) -> Answer:
        credentials = [status for status in self._view.credentials() if status.name == name]
        if not credentials:
            return problem(404, "Not found", "There is no credential of that name.")
        answer = self._readiness(credentials)
        answer["credentials"] = [credential(status, self._now()) for status in credentials]
        return of_json(answer, 200 if answer["ready"] else 503)

    def _readiness(self, credentials: Collection[CredentialStatus]) -> Described:
        reasons = why_not_ready(self._view.draining, tuple(credentials))
        return {"ready": not reasons, "reasons": _told(reasons)}

    # What is seen

    def _metrics(self, accept: bytes | None) -> Answer:
        body, content_type = self._render_metrics(None if accept is None else accept.decode("latin-1"))
        return Answer(200, body, content_type)

    def _status(self, query: Query) -> Answer:
        return of_json(describe(self._view, self._now()))

    def _events(self, method: bytes) -> Answer | Events:
        if self.events is None:
            return _nothing_there()
        return Answer(200, b"", self.events.content_type) if method == b"HEAD" else self.events

    def _page(self, query: Query) -> Answer:
        if self._camera is None:
            return _nothing_there()
        from sidecar.admin import page  # not before somebody looks: a pod's start has no use for it

        fields = (
            ("Content-Security-Policy", page.policy()),
            ("Cross-Origin-Opener-Policy", "same-origin"),
            ("Referrer-Policy", "no-referrer"),
        )
        return Answer(200, page.render(self._camera.take()), "text/html; charset=utf-8", fields)

    # Orders

    async def _refresh(self, query: Query) -> Answer:
        name = query["credential"][0] if "credential" in query else None
        if name is not None and all(status.name != name for status in self._view.credentials()):
            return problem(404, "Not found", "There is no credential of that name.")
        failure: CredentialError | None = None
        try:
            await self._view.refresh(name)
        except CredentialError as error:
            failure = error
        after = [status for status in self._view.credentials() if name in (None, status.name)]
        told: Described = {"credentials": [credential(status, self._now()) for status in after]}
        if failure is not None:
            return problem(502, "Exchange failed", failure.detail, {"remedy": failure.remedy, **told})
        return of_json(told)

    async def _reload(self, query: Query) -> Answer:
        self._note_start()
        try:
            await self._view.reload()
        except ConfigError as error:
            return of_mistakes([str(mistake) for mistake in error.mistakes])
        except StartError as error:
            return of_mistakes([str(error)])
        except NothingToReload as error:
            return problem(409, "Nothing to reload", str(error))
        return of_json({"reloaded": True})

    async def _quit(self, query: Query) -> Answer:
        if not self._quit_enabled:
            return problem(403, "Refused", "The configuration does not allow it: set admin.quit to true.")
        self._view.quit()
        return of_json({"quitting": True})


def _told(reasons: Iterable[Reason]) -> list[dict[str, object]]:
    return [
        {"credential": item.credential, "state": item.state, "reason": item.reason, "remedy": item.remedy}
        for item in reasons
    ]


def _nothing_there() -> Answer:
    return problem(404, "Not found", "There is no such path; / lists those there are.")


def _method_not_allowed(path: str, allowed: str) -> Answer:
    return problem(405, "Method not allowed", f"{path} takes {allowed}.", fields=(("Allow", allowed),))
