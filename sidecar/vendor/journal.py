"""What the vendor saw: the last requests, and counters.

Not an access log of a real service. The rule: it holds no token, no key, no query
and no body; a token is named by its id, which is worth nothing to anyone.
"""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass

from sidecar.vendor.faults import Place
from sidecar.vendor.issuer import Standing, Verdict
from sidecar.vendor.times import iso_ms

_LONGEST_PATH = 256


@dataclass(slots=True)
class Entry:
    """One request. `status` is None until the answer's head is sent, and stays so where none is."""

    at: float
    on: Place
    method: str
    path: str
    token_id: str | None
    token: Standing | None
    expired: bool
    status: int | None = None


@dataclass(slots=True)
class Counters:
    """Counts since the start, or since they were cleared.

    exchanges: requests at the token endpoints; tokens_issued: those that were given a token.
    requests: at the API; rejected: those answered 401; expired_tokens_seen: those that brought an expired token.
    """

    exchanges: int = 0
    tokens_issued: int = 0
    requests: int = 0
    rejected: int = 0
    expired_tokens_seen: int = 0


class Journal:
    """The last requests in the order of their arrival, and the counters.

    Args:
        most: how many requests are remembered.
    """

    def __init__(self, most: int) -> None:
        self.counters = Counters()
        self.entries: deque[Entry] = deque(maxlen=most)

    def arrived(self, at: float, on: Place, method: str, path: str, verdict: Verdict | None = None) -> Entry:
        """Note a request before it is answered; `verdict` is None where no token came with it."""
        if on == "token":
            self.counters.exchanges += 1
        else:
            self.counters.requests += 1
        if verdict is None:
            entry = Entry(at, on, method, path[:_LONGEST_PATH], None, None, False)
        else:
            self.counters.expired_tokens_seen += verdict.expired
            entry = Entry(at, on, method, path[:_LONGEST_PATH], verdict.id, verdict.standing, verdict.expired)
        self.entries.append(entry)
        return entry

    def answered(self, entry: Entry, status: int) -> None:
        """Note the status that a request is answered with."""
        entry.status = status
        self.counters.rejected += entry.on == "api" and status == 401

    def clear(self) -> None:
        """Forget all."""
        self.counters = Counters()
        self.entries.clear()

    def snapshot(self) -> dict[str, object]:
        """Return everything as a JSON value."""
        entries = [{"time": iso_ms(entry.at), **asdict(entry)} for entry in self.entries]
        return {"counters": asdict(self.counters), "entries": entries}
