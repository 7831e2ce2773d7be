"""A credential that takes another's place, when a reload has changed its rules, and how the other one goes.

No request notices. The successor begins with the token of the one before it, and where key or exchange are
others, it makes an exchange at once: the old token goes when there is a new one, and a key that is refused leaves
it in use, as in a rotation. Who waits for the token of the one before still gets it.

Whether the token may be used is for whoever knows the routes: it must not go where it did not go before.
"""

from __future__ import annotations

import asyncio
import math
from typing import Any

from sidecar.credentials.credential import Credential

_LOOK_S = 0.05


class Successor(Credential):
    """A credential that begins with another's token.

    Args:
        before: the other.
        same_issue: whether the same key is exchanged in the same way, so that its token need not be replaced.
        others: as for any credential.
    """

    def __init__(self, *others: Any, before: Credential, same_issue: bool, **named: Any) -> None:
        super().__init__(*others, **named)
        before._notice_clock()  # by this clock's first reading, what it has moved before would be forgotten
        self._before, self._same_issue = before, same_issue
        self._wanted = "key_change"
        if same_issue:
            self._key.take_over(before._key)
            self._failure.take_over(before._failure)
            self._pace.take_over(before._pace)
            self._wanted = before._wanted or (before._makes if before._in_flight else None)
        token = before.current()
        if token is None:
            self._wanted = self._wanted or "start"
            return
        late_s = 0.0 if token.expires_at == math.inf else token.expires_at - before._in_use.expires_at
        self._in_use.take(token, self._rng(), late_s)

    async def run(self) -> None:
        """As any other; what is rejected on the old routes from now on is replaced by this one's token."""
        if self._same_issue:
            self._before._heir = self
        del self._before
        await super().run()


async def until_nobody_waits(credential: Credential, most_s: float) -> None:
    """Return when no request waits for this credential's token any more, or after that time."""
    for _ in range(int(most_s / _LOOK_S)):
        if not credential._waiters:
            return
        await asyncio.sleep(_LOOK_S)
