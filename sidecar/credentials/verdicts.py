"""What upstreams have said of tokens, and whether a rejection is worth an exchange.

Tokens with the same bytes are the same here: a server cannot tell them apart. A token that came
in place of a rejected one, and that nothing has accepted since, is not exchanged for its own
rejection within the hold-down: exchanging has just shown that it does not help.

A credential serves several routes, and what one of them does not take, another may. So a token
that was held against it by one route is still worth an exchange where another took it: there it
was revoked. Not where an exchange has brought the same token again: there is no other.
"""

from __future__ import annotations

import math

from sidecar.clock import Clock
from sidecar.credentials.token import Token


class Verdicts:
    """Remembers the last word on the few tokens that matter.

    Args:
        hold_down_s: for how long a replacement is not replaced in its turn.
        clock: for its end.
    """

    def __init__(self, hold_down_s: float, clock: Clock) -> None:
        self._clock = clock
        self._hold_down_s = hold_down_s
        self._held_down_until = -math.inf
        self._accepted: Token | None = None
        self._hopeless: Token | None = None
        self._hopeless_until = -math.inf
        self._irreplaceable: Token | None = None
        self._replacement: Token | None = None

    def accepted(self, token: Token) -> None:
        """Note that an upstream took it."""
        self._accepted = token

    def hopeless(self, token: Token) -> None:
        """Note that an upstream does not take it, and that an exchange did not help."""
        self._hopeless = token
        self._hopeless_until = self._clock.monotonic() + self._hold_down_s

    def irreplaceable(self, token: Token) -> None:
        """Note that an upstream does not take it, and that an exchange has brought it again."""
        self.hopeless(token)
        self._irreplaceable = token

    def replaced(self, token: Token) -> None:
        """Note that this token came in place of a rejected one."""
        self._replacement = token
        self._held_down_until = self._clock.monotonic() + self._hold_down_s

    def is_proven(self, token: Token) -> bool:
        """Whether it was taken before and is not hopeless: if it is rejected now, it was revoked."""
        return same(self._accepted, token) and not self.is_hopeless(token)

    def is_hopeless(self, token: Token) -> bool:
        """Whether an upstream has not taken it though an exchange had just brought it."""
        return same(self._hopeless, token)

    def hopeless_for_s(self, token: Token | None) -> float:
        """For how long it is held against this token that exchanging again does not help; 0: it is not."""
        if token is None or not self.is_hopeless(token):
            return 0.0
        return max(0.0, self._hopeless_until - self._clock.monotonic())

    def worth_an_exchange(self, token: Token, *, taken_there: bool) -> bool:
        """Whether a rejection of this token may cause an exchange.

        Args:
            taken_there: whoever rejects it took it before, whatever others have said.
        """
        if not same(self._replacement, token) or self.is_proven(token):
            return True
        if taken_there and not same(self._irreplaceable, token):
            return True
        return self._clock.monotonic() >= self._held_down_until


def same(known: Token | None, token: Token) -> bool:
    """Whether this is a token that is known, by its bytes."""
    return known is token or (known is not None and known.secret == token.secret)
