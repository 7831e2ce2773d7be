"""One exchange for each credential, without a sidecar: what `check --exchange` tries and `token` prints."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sidecar.assembly import exchanger, key_source
from sidecar.clock import Clock, SystemClock
from sidecar.config.values import Config, CredentialConfig
from sidecar.credentials.remedies import remedy
from sidecar.credentials.token import Token
from sidecar.errors import ExchangeFailed, KeyUnavailable


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of one exchange.

    Args:
        name: the credential's.
        token: what it brought; None where it failed.
        told: how long the token lives, or what went wrong and what to do, for a person; never a secret.
    """

    name: str
    token: Token | None
    told: str


async def exchange_each(
    config: Config, credentials: Iterable[CredentialConfig], environ: Mapping[str, str] = os.environ
) -> list[Tried]:
    """Make one real exchange for each of these credentials.

    Args:
        config: the configuration that they are of.
        environ: where keys are that stand in the environment.
    """
    clock = SystemClock()
    return [await _exchange(credential, config, environ, clock) for credential in credentials]


async def _exchange(credential: CredentialConfig, config: Config, environ: Mapping[str, str], clock: Clock) -> Tried:
    exchanges = exchanger(credential, clock)
    source = key_source(credential.api_key, config, environ, signs=credential.signs)
    try:
        token = await exchanges.exchange(await source.read())
        life_s = token.expires_at - clock.wall()
        told = "a token that does not expire" if life_s == math.inf else f"a token for {life_s:.0f} s"
        return Tried(credential.name, token, told)
    except (ExchangeFailed, KeyUnavailable) as error:
        cause = error.cause if isinstance(error, ExchangeFailed) else "no_key"
        what_to_do = remedy(cause, f"put a valid API key into {source.description}", tries_again=False)
        return Tried(credential.name, None, f"{error}; what to do: {what_to_do}")
    finally:
        await exchanges.close()
