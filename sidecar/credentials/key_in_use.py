"""The API key that a credential exchanges: the first that its source holds, and each that follows it.

The first key is taken as it is read, unless it lies in a file that was written a moment ago. One
that appears later, or takes another's place, has to settle (`KeyWatch`).

A file is looked at once a second, and soon after the system told that something happened to it. A
command is run again when its `ttl` is over. A source that is `asked` is also asked again when its
key was refused, and before a token that somebody wants at once. All others are asked again only
while there is no key.

A key that somebody regenerates is dead at once, and the new one was put into its place a moment
before or will be a moment after. So a refusal is not believed before the source was looked at
(`replaced`), and whoever waits for a token goes on waiting meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable
from contextlib import suppress

from sidecar.clock import Clock
from sidecar.credentials.key_watch import KeyWatch
from sidecar.credentials.keys import KeySource
from sidecar.credentials.remedies import ASKED_AGAIN, USED_AT_ONCE
from sidecar.errors import KeyUnavailable
from sidecar.secret import Secret

# Between two looks that have to agree. A file that grows in steps is whole or longer by then.
SETTLE_S = 1.0
# What happens to a file comes in several events, which one look does for.
_EVENT_PAUSE_S = 0.1
# Between two looks, however many events come.
_LEAST_PAUSE_S = 0.4
# A file written less than this before the start may be half written; it is whole when it stays as it is for a while.
_YOUNG_S = 1.0
_YOUNG_PAUSE_S = 0.25
# A file that differs at each look never settles; a refusal is believed all the same, and a first key taken.
_MOST_SETTLING_S = 3.0
# For how long after the refusal of a key that was good another one is looked for. With the second look at it, and at
# 300 requests a second, this is what 1000 places for those who wait (`limits.waiting`) allow.
REPLACED_WITHIN_S = 2.0
# While there is no key. The source may be a program that a person has to unlock: it is not asked all the time.
_KEYLESS_S = 15.0
# A source is not asked again sooner; its answer of a moment ago will do.
_ASK_AGAIN_S = 5.0
# How long a token that is wanted waits for the answer of a source that was asked for it.
_ANSWER_WITHIN_S = 5.0

_log = logging.getLogger("sidecar.credential")


class KeyInUse:
    """A key source, and the key that is used of it.

    Args:
        name: the credential's, for the log.
        source: where the key comes from.
        clock: for when to look again.
        wake: called when it makes sense to ask `changed` sooner than `next_look_s` had said.
    """

    def __init__(self, name: str, source: KeySource, clock: Clock, wake: Callable[[], None]) -> None:
        self.secret: Secret | None = None
        self._name = name
        self._source = source
        self._looks = source.looks
        self._watch = KeyWatch(source, self._answered)
        self._clock = clock
        self._wake = wake
        self._stirred = asyncio.Event()
        self._look_at = -math.inf
        self._looked_at = -math.inf
        self._answer_by = -math.inf
        self._failed_looks = 0
        self._advice: str | None = None
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
        if self._looks.asked:
            return f"have {self.source} give a valid API key{ASKED_AGAIN}"
        if self._source.watched:
            return f"put a valid API key into {self.source}{USED_AT_ONCE}"
        return f"put a valid API key into {self.source} and start again"

    def take_over(self, other: KeyInUse) -> None:
        """Go on with the key that another has read from the same source."""
        self.secret, self._proved, self._advice = other.secret, other._proved, other._advice
        if self._looks.asked and not other._watch.is_reading:
            self._look_at, self._looked_at = other._look_at, other._looked_at

    @property
    def is_asked(self) -> bool:
        """Whether a source that was asked because somebody wants a new token may still give another key for it."""
        return self._clock.monotonic() < self._answer_by

    async def first(self, tell: Callable[[str], None]) -> None:
        """Read the key; where there is none yet, look again until there is.

        Args:
            tell: called with the reason each time there is none.
        """
        try:
            self.secret = await self._whole()
        except KeyUnavailable as error:
            tell(str(error))
        except Exception as error:
            # A defect, which the credential must outlive. The type alone: its text could hold anything.
            tell(f"{self.source} cannot be read ({type(error).__name__})")
        self._looked()
        while self.secret is None:
            await self._next_look()
            await self._look()
            if self._watch.problem is not None:
                tell(self._watch.problem)
        self._advise()

    async def changed(self) -> bool:
        """Look at the source where it is time to; take a new key and return whether there was one."""
        if self._clock.monotonic() < self._look_at:
            return False
        found = await self._look()
        self._complain()
        if not found:
            return False
        _log.info("credential %s: %s holds a new key", self._name, self.source)
        self._advise()
        self._proved = False
        return True

    async def replaced(self, *, patient: bool) -> bool:
        """The key was refused: return whether its source holds another one, which is then the one in use.

        Args:
            patient: where the key was good before, look for `REPLACED_WITHIN_S`; else one look must do. It does for
                a source that is asked, whose answer is waited for.
        """
        now_s = self._clock.monotonic()
        if self._looks.asked and (self._looked_at + _ASK_AGAIN_S > now_s and not self._watch.is_reading):
            self.ask_again()
            return False
        if not (self._looks.asked or self._source.watched):
            return False
        within_s = _ANSWER_WITHIN_S if self._looks.asked else REPLACED_WITHIN_S if patient and self._proved else 0.0
        if not self._watch.is_settling:
            self._look_at = -math.inf  # only the two looks that must agree have to be apart
        while True:
            await self._next_look(now_s + within_s if self._looks.asked else math.inf)
            if await self.changed():
                _log.warning("credential %s: the endpoint refused the key that was there before", self._name)
                return True
            if self._looks.asked and not self._watch.is_reading:
                return False
            over_s = self._clock.monotonic() - now_s - within_s
            if over_s >= (_MOST_SETTLING_S if self._watch.is_settling else 0.0):
                return False

    def ask_again(self) -> None:
        """The key may be a bad one: have a source that is asked look for another one."""
        if self._looks.asked and not self._watch.is_reading:
            self._look_by(self._looked_at + _ASK_AGAIN_S)

    def wanted_now(self) -> None:
        """Somebody wants a new token at once: have a source that is asked say first whether the key is still that."""
        now_s = self._clock.monotonic()
        if self._looks.asked and now_s >= self._looked_at + _ASK_AGAIN_S and not self._watch.is_reading:
            self._answer_by = now_s + _ANSWER_WITHIN_S
            self._look_by(now_s)

    def slept(self, for_s: float) -> None:
        """Count the time in which the machine slept."""
        self._look_at -= for_s

    def proved(self) -> None:
        """An exchange of the key has brought a token: say so, once for each key."""
        if not self._proved:
            _log.info("credential %s: the key from %s has brought its first token", self._name, self.source)
        self._proved = True

    def next_look_s(self) -> float:
        """Return the seconds until it makes sense to look again; math.inf where it never does."""
        now_s = self._clock.monotonic()
        return min(self._look_at, self._answer_by if self._answer_by > now_s else math.inf) - now_s

    async def close(self) -> None:
        """Look no more; give up a read that has not ended."""
        self._source.close()
        await self._watch.close()

    async def _whole(self) -> Secret:
        """Return the first key: read again where its file was written a moment ago, until two reads agree."""
        key = await self._source.read()
        give_up_at = self._clock.monotonic() + _MOST_SETTLING_S
        while 0 <= self._clock.wall() - self._source.written_at < _YOUNG_S and self._clock.monotonic() < give_up_at:
            await asyncio.sleep(_YOUNG_PAUSE_S)
            again = await self._source.read()
            if again == key:
                break
            key = again
        return key

    async def _look(self) -> bool:
        """Look once, and take a new key if there is one; return whether there was."""
        self._source.follow(self._happened)
        key = await self._watch.poll(self.secret)
        if key is not None:
            self.secret = key
        self._looked()
        return key is not None

    def _looked(self) -> None:
        """Decide when to look again."""
        self._looked_at = self._clock.monotonic()
        if not self._watch.is_reading:
            self._answer_by = -math.inf
        if self._watch.is_settling:
            pause_s = SETTLE_S
        elif self.secret is None:
            pause_s = min(self._looks.retry_s, _KEYLESS_S)
        elif self._watch.problem is not None and self._looks.every_s < math.inf:
            pause_s = min(self._looks.retry_s, self._looks.every_s)
        else:
            pause_s = self._looks.every_s
        self._look_at = self._looked_at + pause_s

    def _answered(self) -> None:
        self._look_by(-math.inf)

    def _happened(self) -> None:
        """Something may have happened to the file; a look that has to wait for the last one goes on waiting."""
        if not self._watch.is_settling and not self._watch.is_reading:
            self._look_by(max(self._clock.monotonic() + _EVENT_PAUSE_S, self._looked_at + _LEAST_PAUSE_S))

    def _look_by(self, at_s: float) -> None:
        if at_s < self._look_at:
            self._look_at = at_s
            self._stirred.set()
            self._wake()

    async def _next_look(self, latest_s: float = math.inf) -> None:
        """Sleep until it makes sense to look again; where that is not before `latest_s`, until then."""
        while (pause_s := min(self.next_look_s(), latest_s - self._clock.monotonic())) > 0:
            self._stirred.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s if pause_s < math.inf else None):
                    await self._stirred.wait()

    def _complain(self) -> None:
        """Say once that the source cannot be read; a file that is being replaced may be away for one look."""
        if self._watch.problem is None:
            self._failed_looks = 0
        else:
            self._failed_looks += 1
            if self._failed_looks == (2 if self._looks.settles else 1):
                _log.warning("credential %s: %s; the key in use stays", self._name, self._watch.problem)

    def _advise(self) -> None:
        """Say what a person might mend about the source, once for each thing."""
        advice, before = self._source.advice, self._advice
        self._advice = advice
        if advice is not None and advice != before:
            # The environment is where most begin; in a container it is as good as others.
            level = logging.INFO if self._source.kind == "env" else logging.WARNING
            _log.log(level, "credential %s: %s", self._name, advice)
