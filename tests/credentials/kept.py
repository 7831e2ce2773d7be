"""A credential under test: fakes of what it stands on, and short words for what tests do with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sidecar.credentials.credential import Credential
from sidecar.credentials.key_file import FileKey
from sidecar.credentials.keys import Looks
from sidecar.credentials.rules import Injection, RefreshRules
from sidecar.credentials.status import ExchangeRecord
from sidecar.credentials.token import Token, make_token
from sidecar.errors import CredentialError, ExchangeFailed, ExchangeOutcome, KeyUnavailable, Overloaded
from sidecar.secret import Secret
from tests.credentials.virtual_time import FakeClock

GOOD_KEY = Secret("good-key")
HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class Says:
    """What the token endpoint does with one exchange: after `takes_s`, a token, or a failure where `fails` is one.

    `text` is the token's; None: one that has not been given out before.
    """

    life_s: float = HOUR_S
    takes_s: float = 0.01
    fails: ExchangeOutcome | Exception | None = None
    retry_after_s: float | None = None
    text: str | None = None


GOOD = Says()
DOWN = Says(fails="network")
HANGS = Says(takes_s=10.0, fails="timeout")
REFUSED = Says(fails="key_rejected")


class FakeExchanger:
    """Answers by a script, then by what `then` is; remembers when it was asked, and with what."""

    def __init__(self, clock: FakeClock, *script: Says, then: Says = GOOD) -> None:
        self.script = list(script)
        self.then = then
        self.began_s: list[float] = []
        self.keys: list[Secret] = []
        # By each token's id: when its life ends, in monotonic seconds.
        self.ends_s: dict[int, float] = {}
        self.given: list[Token] = []
        self.running = 0
        self.most_running = 0
        self._clock = clock
        self.good_keys: set[Secret] | None = None

    @property
    def count(self) -> int:
        """How many exchanges were begun."""
        return len(self.began_s)

    async def exchange(self, key: Secret) -> Token:
        """Do what the script says."""
        says = self.script.pop(0) if self.script else self.then
        if self.good_keys is not None and key not in self.good_keys:
            says = REFUSED
        self.began_s.append(self._clock.monotonic())
        self.keys.append(key)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await asyncio.sleep(says.takes_s)
        finally:
            self.running -= 1
        if isinstance(says.fails, Exception):
            raise says.fails
        if says.fails is not None:
            raise ExchangeFailed(says.fails, f"it was a {says.fails}", retry_after_s=says.retry_after_s)
        text = says.text if says.text is not None else f"token-{self.count}"
        now = self._clock.wall()
        token = make_token(Secret(text), Injection(), obtained_at=now, expires_at=now + says.life_s)
        self.ends_s[id(token)] = self._clock.monotonic() + says.life_s
        self.given.append(token)  # kept, so that its id stays its own
        return token

    async def close(self) -> None:
        """Do nothing."""

    def began_within(self, window_s: float) -> int:
        """Return the most exchanges that began within any window of this length, its end excluded."""
        return max(
            (sum(start <= other < start + window_s for other in self.began_s) for start in self.began_s), default=0
        )


class FakeKeySource:
    """A key that a test sets; None: it cannot be read."""

    kind = "file"
    description = "file /keys/key"
    advice: str | None = None
    written_at = 0.0

    def __init__(self, key: Secret | None = GOOD_KEY, *, watched: bool = True, looks: Looks | None = None) -> None:
        self.key = key
        self.watched = watched
        self.looks = looks or (FileKey.looks if watched else Looks())
        self.changed: Callable[[], None] = lambda: None
        self.reads = 0
        self.reading = self.most_reading = 0
        self.takes_s = 0.0

    def follow(self, changed: Callable[[], None]) -> None:
        """Remember whom to tell."""
        self.changed = changed

    def close(self) -> None:
        """Do nothing."""

    async def read(self) -> Secret:
        """Return the key."""
        self.reads += 1
        self.reading += 1
        self.most_reading = max(self.most_reading, self.reading)
        try:
            await asyncio.sleep(self.takes_s)
        finally:
            self.reading -= 1
        if self.key is None:
            raise KeyUnavailable(f"{self.description} cannot be read")
        return self.key


class Records:
    """Remembers every exchange it was told of."""

    def __init__(self) -> None:
        self.told: list[ExchangeRecord] = []

    def exchanged(self, record: ExchangeRecord) -> None:
        """One exchange was made."""
        self.told.append(record)

    @property
    def triggers(self) -> list[str]:
        """What made each of them due."""
        return [record.trigger for record in self.told]


@dataclass
class Kept:
    """A credential whose task runs, and everything around it."""

    credential: Credential
    clock: FakeClock
    exchanger: FakeExchanger
    source: FakeKeySource
    records: Records
    task: asyncio.Task[None]

    @property
    def count(self) -> int:
        """How many exchanges were begun."""
        return self.exchanger.count

    @property
    def state(self) -> str:
        """What the credential says of itself."""
        return self.credential.status().state

    def valid(self) -> Token:
        """Return the current token; there has to be one."""
        token = self.credential.current()
        assert token is not None
        return token

    async def stop(self) -> None:
        """End the task, as the app does."""
        self.task.cancel()
        await asyncio.wait([self.task])


@asynccontextmanager
async def keeping(
    *script: Says,
    then: Says = GOOD,
    rules: RefreshRules | None = None,
    source: FakeKeySource | None = None,
    most_waiting: int = 1000,
    wait_s: float = 10.0,
    rng: Callable[[], float] = lambda: 0.5,
    good_keys: Sequence[Secret] | None = None,
) -> AsyncIterator[Kept]:
    """Keep a credential whose token endpoint answers by the script, then by `then`."""
    clock = FakeClock()
    exchanger = FakeExchanger(clock, *script, then=then)
    exchanger.good_keys = set(good_keys) if good_keys is not None else None
    records = Records()
    source = source or FakeKeySource()
    credential = Credential(
        "crm",
        source,
        exchanger,
        rules or RefreshRules(),
        clock,
        records,
        most_waiting=most_waiting,
        wait_s=wait_s,
        rng=rng,
    )
    kept = Kept(credential, clock, exchanger, source, records, asyncio.create_task(credential.run()))
    try:
        yield kept
    finally:
        await kept.stop()
        assert kept.task.cancelled(), "the task ended by itself"
        assert exchanger.most_running <= 1, "two exchanges ran at a time"


async def settled() -> None:
    """Let everything run that can run now."""
    for _ in range(10):
        await asyncio.sleep(0)


async def outcome(work: Awaitable[Token | None]) -> Token | CredentialError | Overloaded | None:
    """Return what comes of it: a token, none, or the error."""
    try:
        return await work
    except (CredentialError, Overloaded) as error:
        return error


async def timed(work: Awaitable[Token | None]) -> tuple[Token | CredentialError | Overloaded | None, float]:
    """Return what comes of it, and how many virtual seconds that took."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    return await outcome(work), loop.time() - began_s
