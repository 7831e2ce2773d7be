"""Keys and tokens on their way in: the log is told of each, to mask it, before anything else sees it.

Not what keeps secrets out of the log, which is the `Secret` type: this is for one that comes back in a foreign text.
"""

from __future__ import annotations

import logging
from time import perf_counter

from sidecar.credentials.credential import Exchanger
from sidecar.credentials.keys import KeySource
from sidecar.credentials.token import Token
from sidecar.log import protect
from sidecar.secret import Secret

_log = logging.getLogger("sidecar.credential")


class MaskedSource:
    """A key source whose keys the log masks.

    Args:
        source: the one that reads.
    """

    def __init__(self, source: KeySource) -> None:
        self._source = source
        self.kind = source.kind
        self.description = source.description
        self.watched = source.watched
        self.looks = source.looks
        self.follow = source.follow
        self.close = source.close

    @property
    def advice(self) -> str | None:
        """What a person might mend about it, as of the last read."""
        return self._source.advice

    @property
    def written_at(self) -> float:
        """When it was last written, wall-clock seconds; 0.0: not known."""
        return self._source.written_at

    async def read(self) -> Secret:
        """Return the key as it is now.

        Raises:
            KeyUnavailable: the source cannot be read, or what it holds cannot be a key.
        """
        key = await self._source.read()
        protect(key, lasts=True)
        return key


class MaskedExchanger:
    """An exchanger whose tokens the log masks.

    Args:
        exchanger: the one that exchanges.
        name: the credential's, for the log.
    """

    def __init__(self, exchanger: Exchanger, name: str) -> None:
        self._exchanger = exchanger
        self._name = name

    async def exchange(self, key: Secret) -> Token:
        """Make one exchange.

        Raises:
            ExchangeFailed: it brought no token.
        """
        _log.debug("credential %s: an exchange begins", self._name)
        began_at = perf_counter()
        try:
            token = await self._exchanger.exchange(key)
        finally:
            _log.debug("credential %s: the exchange has ended, after %.3f s", self._name, perf_counter() - began_at)
        protect(token.secret)
        return token

    async def close(self) -> None:
        """Let go of what it holds."""
        await self._exchanger.close()
