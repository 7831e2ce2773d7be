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
from sidecar.credentials.status import Trigger

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
        self._key_before = before._key.secret if same_issue else None
        token = before.current()
        if token is None:
            return
        late_s = 0.0 if token.expires_at == math.inf else token.expires_at - before._in_use.expires_at
        self._in_use.take(token, self._rng(), late_s)
        self._wanted = None if same_issue else "key_change"

    async def _due(self) -> Trigger:
        before, self._key_before = self._key_before, None
        if before is not None and self._in_use.token is not None and before != self._key.secret:
            self._want_new_key()  # the source held another by the time that it was read here
        return await super()._due()


async def until_nobody_waits(credential: Credential, most_s: float) -> None:
    """Return when no request waits for this credential's token any more, or after that time."""
    for _ in range(int(most_s / _LOOK_S)):
        if not credential._waiters:
            return
        await asyncio.sleep(_LOOK_S)
