"""Keys and tokens on their way in: the log is told of each, to mask it, before anything else sees it.

Not what keeps secrets out of the log, which is the `Secret` type: this is for one that comes back in a foreign text.
"""

from __future__ import annotations

from sidecar.credentials.credential import Exchanger
from sidecar.credentials.keys import KeySource
from sidecar.credentials.token import Token
from sidecar.log import protect
from sidecar.secret import Secret


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
    """

    def __init__(self, exchanger: Exchanger) -> None:
        self._exchanger = exchanger

    async def exchange(self, key: Secret) -> Token:
        """Make one exchange.

        Raises:
            ExchangeFailed: it brought no token.
        """
        token = await self._exchanger.exchange(key)
        protect(token.secret)
        return token

    async def close(self) -> None:
        """Let go of what it holds."""
        await self._exchanger.close()
