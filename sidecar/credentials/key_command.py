"""An API key that a program prints: a password manager's, a vault's, one's own.

It is run once, and again when its `ttl` is over, when its key was refused, and before a token that somebody
wants at once; never twice at a time. A run that fails leaves the key in use.
"""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Collection, Mapping, Sequence

from sidecar.credentials.command import Ended, run
from sidecar.credentials.keys import MOST_KEY_BYTES, ROUND_IT_BYTES, Clean, Looks, Unfollowed, clean_key
from sidecar.errors import KeyUnavailable
from sidecar.secret import Secret


class CommandKey(Unfollowed):
    """A key that a program prints.

    Args:
        argv: the program and its arguments.
        clean: what a key is, where that is not visible ASCII.
        ttl_s: how long a key that it printed is believed; None: until it is refused.
        timeout_s: how long it may take.
        environ: what it inherits.
        withheld: the names in it that it does not inherit: where we have secrets of our own.
    """

    kind = "command"

    def __init__(
        self,
        argv: Sequence[str],
        clean: Clean | None = None,
        *,
        ttl_s: float | None = None,
        timeout_s: float = 30.0,
        environ: Mapping[str, str],
        withheld: Collection[str] = (),
    ) -> None:
        self._clean = clean or clean_key
        # Without its arguments: one of them may be a secret.
        self.description = f"command {os.path.basename(argv[0])}"
        self.watched = ttl_s is not None
        self.looks = Looks(every_s=ttl_s if ttl_s is not None else math.inf, asked=True)
        self._argv = argv
        self._timeout_s = timeout_s
        self._environ = environ
        self._withheld = withheld

    async def read(self) -> Secret:
        """Run it and return the key. Raises KeyUnavailable where it fails, or prints no key."""
        environ = {name: value for name, value in self._environ.items() if name not in self._withheld}
        try:
            ended = await run(
                self._argv, environ, timeout_s=self._timeout_s, most_bytes=MOST_KEY_BYTES + ROUND_IT_BYTES
            )
        except TimeoutError:
            raise KeyUnavailable(f"{self.description} did not end within {self._timeout_s:g} s") from None
        except RuntimeError:
            raise KeyUnavailable(f"{self.description} cannot be run: no thread to run it in") from None
        except (OSError, ValueError) as error:
            reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else "not a program"
            raise KeyUnavailable(f"{self.description} cannot be run: {reason}") from None
        if ended.output is None:
            raise KeyUnavailable(f"{self.description} printed more than {MOST_KEY_BYTES} bytes")
        if ended.code:
            raise KeyUnavailable(f"{self.description} {_failure(ended)}")
        return self._clean(ended.output, f"what {self.description} printed")


def _failure(ended: Ended) -> str:
    how = f"ended with exit code {ended.code}"
    if ended.code < 0:
        try:
            how = f"was ended by {signal.Signals(-ended.code).name}"
        except ValueError:
            how = f"was ended by signal {-ended.code}"
    return how + ("; run it by hand to see what it complains about" if ended.complained else "")
