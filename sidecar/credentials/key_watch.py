"""Whether the key at a source has changed, and settled.

Content decides, not a file's time or inode: that holds for an atomic rename, for the `..data`
link that Kubernetes swaps, and for a file written in place.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from sidecar.credentials.keys import KeySource
from sidecar.errors import KeyUnavailable
from sidecar.secret import Secret

# A local read takes far less. One that does not end must hold up neither renewals nor the next requests' look-ups.
PATIENCE_S = 0.1


class KeyWatch:
    """Tells when the key at a source has changed and settled.

    A file that is being written is seen half-written by one read and whole by a later one. So
    where a source `settles`, a new key counts once two polls in a row have read the same; it is for
    the caller to leave a second or more between polls. A read that takes its time is waited for
    over many polls: there is never more than one, or they would take all the threads there are.

    Args:
        source: where the key comes from.
        answered: called when a read has ended that a poll did not wait for.
    """

    def __init__(self, source: KeySource, answered: Callable[[], None]) -> None:
        self._source = source
        self._answered = answered
        self._candidate: Secret | None = None
        self._reading: asyncio.Task[Secret] | None = None
        self.problem: str | None = None

    @property
    def is_settling(self) -> bool:
        """Whether the last poll has read a new key, so that the next one may return it."""
        return self._candidate is not None

    @property
    def is_reading(self) -> bool:
        """Whether the last poll has left a read behind that has not ended yet."""
        return self._reading is not None

    async def poll(self, known: Secret | None) -> Secret | None:
        """Return the new key when it has changed and settled; else None, within `PATIENCE_S`.

        A source that cannot be read is no change; `problem` then says why, until a read succeeds.

        Args:
            known: the key in use, or None where there is none yet.
        """
        before, self._candidate = self._candidate, None
        if self._reading is None:
            self._reading = asyncio.create_task(self._source.read())
        reading = self._reading
        await asyncio.wait([reading], timeout=PATIENCE_S)
        if not reading.done():
            if self._source.looks.prompt:
                self.problem = f"{self._source.description} cannot be read: it does not answer"
            reading.remove_done_callback(self._tell)
            reading.add_done_callback(self._tell)
            return None
        self._reading = None
        try:
            key = reading.result()
        except KeyUnavailable as exc:
            self.problem = str(exc)
            return None
        except Exception as exc:
            # A defect, which the credential must outlive. The type alone: its text could hold anything.
            self.problem = f"{self._source.description} cannot be read ({type(exc).__name__})"
            return None
        self.problem = None
        if key == known:
            return None
        if key == before or not self._source.looks.settles:
            return key
        self._candidate = key
        return None

    async def close(self) -> None:
        """Give up a read that has not ended, and wait until what it has begun is cleared away."""
        if (reading := self._reading) is None:
            return
        reading.cancel()
        await asyncio.wait([reading])
        if not reading.cancelled():
            reading.exception()  # read in vain; a task that nobody asks would complain

    def _tell(self, _: asyncio.Task[Secret]) -> None:
        self._answered()
