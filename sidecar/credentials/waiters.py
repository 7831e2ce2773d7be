"""Those who wait for the outcome of an exchange.

None of them owns it: one that leaves takes away its own waiting and nothing else.
"""

from __future__ import annotations

import asyncio

from sidecar.credentials.token import Token
from sidecar.errors import CredentialError, Overloaded


class Waiters:
    """A bounded crowd that is told of one outcome together.

    Args:
        most: how many may wait at a time.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: set[asyncio.Future[Token | CredentialError]] = set()

    def __len__(self) -> int:
        return len(self._waiting)

    async def token(self, most_s: float) -> Token:
        """Wait for the next outcome, and return the token where it is one.

        Raises:
            CredentialError: the outcome is this error.
            Overloaded: too many are waiting.
            TimeoutError: there was none within `most_s`.
        """
        if len(self._waiting) >= self._most:
            raise Overloaded("too many requests wait for a token", reason="waiting", retry_after_s=1)
        # An error is a result here: as the future's exception, nobody would retrieve it from one who left meanwhile.
        waiter: asyncio.Future[Token | CredentialError] = asyncio.get_running_loop().create_future()
        self._waiting.add(waiter)
        try:
            async with asyncio.timeout(most_s):
                outcome = await waiter
        finally:
            self._waiting.discard(waiter)
        if isinstance(outcome, CredentialError):
            raise anew(outcome, outcome.retry_after_s)
        return outcome

    def tell(self, outcome: Token | CredentialError) -> None:
        """Tell everybody who waits."""
        waiting, self._waiting = self._waiting, set()
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(outcome)


def anew(error: CredentialError, retry_after_s: float | None) -> CredentialError:
    """Return the same error for one more who is told of it: an instance that is raised keeps a traceback."""
    return type(error)(error.detail, reason=error.reason, retry_after_s=retry_after_s, remedy=error.remedy)
