"""The API key that a credential exchanges: the first that its source holds, and each that follows it.

The first key is taken as it is read. One that appears later, or takes another's place, has to
settle (`KeyWatch`). A source that is not watched is asked again only while there is no key.

A key that somebody regenerates is dead at once, and the new one was put into its place a moment
before or will be a moment after. So a refusal is not believed before the source was looked at
(`replaced`), and whoever waits for a token goes on waiting meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable

from sidecar.clock import Clock
from sidecar.credentials.keys import KeySource, KeyWatch
from sidecar.errors import KeyUnavailable
from sidecar.secret import Secret

KEY_CHECK_S = 1.0
# A source that is not watched may be a program that a person has to unlock: it is asked rarely.
_UNWATCHED_CHECK_S = 15.0
# For how long after the refusal of a key that was good another one is looked for. With the second look at it, and at
# 300 requests a second, this is what 1000 places for those who wait (`limits.waiting`) allow.
REPLACED_WITHIN_S = 2.0

_log = logging.getLogger("sidecar.credential")


class KeyInUse:
    """A key source, and the key that is used of it.

    Args:
        name: the credential's, for the log.
        source: where the key comes from.
        clock: for when to look again.
    """

    def __init__(self, name: str, source: KeySource, clock: Clock) -> None:
        self.secret: Secret | None = None
        self._name = name
        self._source = source
        self._watch = KeyWatch(source)
        self._clock = clock
        self._look_at = -math.inf
        self._proved = False

    @property
    def source(self) -> str:
        """Where it comes from; completes "the API key from ..."."""
        return self._source.description

    @property
    def fingerprint(self) -> str:
        """What tells it from other keys; "" where there is none."""
        return self.secret.fingerprint() if self.secret is not None else ""

    @property
    def remedy(self) -> str:
        """What a person can do about a bad key."""
        if self._source.watched:
            return f"put a valid API key into {self.source}: it is used as soon as it is there"
        return f"put a valid API key into {self.source} and start again"

    async def first(self, tell: Callable[[str], None]) -> None:
        """Read the key; where there is none yet, look again until there is.

        Args:
            tell: called with the reason each time there is none.
        """
        try:
            self.secret = await self._source.read()
        except KeyUnavailable as error:
            tell(str(error))
        while self.secret is None:
            await asyncio.sleep(KEY_CHECK_S if self._source.watched else _UNWATCHED_CHECK_S)
            self.secret = await self._watch.poll(None)
            if self._watch.problem is not None:
                tell(self._watch.problem)

    async def changed(self) -> bool:
        """Look at the source, at most once a second; take a new key and return whether there was one."""
        if not self._source.watched or self._clock.monotonic() < self._look_at:
            return False
        before = self._watch.problem
        key = await self._watch.poll(self.secret)
        self._look_at = self._clock.monotonic() + KEY_CHECK_S
        if self._watch.problem is not None and before is None:
            _log.warning("credential %s: %s; the key in use stays", self._name, self._watch.problem)
        if key is None:
            return False
        _log.info("credential %s: %s holds a new key", self._name, self.source)
        self.secret = key
        self._proved = False
        return True

    async def replaced(self, *, patient: bool) -> bool:
        """The key was refused: return whether its source holds another one, which is then the one in use.

        Args:
            patient: where the key was good before, look for `REPLACED_WITHIN_S`; else one look must do.
        """
        if not self._source.watched:
            return False
        give_up_at = self._clock.monotonic() + (REPLACED_WITHIN_S if patient and self._proved else 0.0)
        if not self._watch.is_settling:
            self._look_at = -math.inf  # only the two looks that must agree have to be apart
        while True:
            await asyncio.sleep(max(0.0, self.next_look_s()))
            if await self.changed():
                _log.warning("credential %s: the endpoint refused the key that was there before", self._name)
                return True
            if self._clock.monotonic() >= give_up_at and not self._watch.is_settling:
                return False

    def proved(self) -> None:
        """An exchange of the key has brought a token: say so, once for each key."""
        if not self._proved:
            _log.info("credential %s: the key from %s has brought its first token", self._name, self.source)
        self._proved = True

    def next_look_s(self) -> float:
        """Return the seconds until it makes sense to look again; math.inf where it never does."""
        return self._look_at - self._clock.monotonic() if self._source.watched else math.inf

    def close(self) -> None:
        """Give up a read that has not ended."""
        self._watch.close()
