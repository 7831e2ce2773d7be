"""What must come of everything that is done to a credential: written down apart from it, and much simpler.

| of | the model knows | so |
|---|---|---|
| a token | how long its holder has been awake since its exchange ended, and when that began | it ends with its life |
| a sleep | how much time has truly passed, where no clock was set back meanwhile | it ends a sleeping token too |
| a failure | what Retry-After asked for; that the key was refused | nothing is exchanged before |
| a success | what had made it due, and whether its token was accepted | a replacement is not replaced in a hold-down |
| the budget | when exchanges began | how many may begin |

What lets an exchange begin sooner: a refresh that somebody asked for, another key, time slept.
"""

from __future__ import annotations

import math

from sidecar.credentials.clock_moves import LEAST_MOVE_S
from sidecar.credentials.pace import MOST_RETRY_AFTER_S, PROBE_FIRST_S
from sidecar.credentials.rules import RefreshRules
from sidecar.credentials.token import Token
from sidecar.errors import ExchangeFailed
from sidecar.secret import Secret
from tests.credentials.kept import Kept

_ROUNDING_S = 1e-6
# Until a key that was put into its place is exchanged for sure: two looks, two exchanges between them, the budget.
KEY_EXCHANGED_S = 90.0


class Model:
    """Watches a credential's exchanger, and is told what is done to the clocks.

    Args:
        kept: the credential.
        rules: its rules.
    """

    def __init__(self, kept: Kept, rules: RefreshRules) -> None:
        self._kept = kept
        self._rules = rules
        self._exchange = kept.exchanger.exchange
        kept.exchanger.exchange = self.exchange  # type: ignore[method-assign]
        # Clocks
        self._slept_s = 0.0
        self.set_back_s = -math.inf
        # By a token's id: the monotonic moment at which its life is over, the true one, and when its exchange began.
        self._ends: dict[int, tuple[float, float, float]] = {}
        # What holds exchanges back
        self._not_before_s = -math.inf
        self._key_put_s = -math.inf
        self._last_key: Secret | None = None
        self.refused = False
        self._too_early: list[str] = []
        self._accepted: set[Secret] = set()
        self._began_s: list[float] = []
        self._without_token: list[bool] = []
        self._judged = 0

    @property
    def now_s(self) -> float:
        """Monotonic seconds."""
        return self._kept.clock.monotonic()

    # What is done

    def clock_was_set(self, by_s: float) -> None:
        """Not by a sleep; 0 for one that stands or goes on."""
        if by_s <= 0:
            self.set_back_s = self.now_s
        else:
            self._not_before_s -= by_s  # it cannot be told from a sleep

    def slept(self, for_s: float) -> None:
        """Time passed, and the monotonic clock stood."""
        self._slept_s += for_s
        self._not_before_s -= for_s

    def released(self) -> None:
        """Somebody asked for an exchange."""
        self._not_before_s = -math.inf

    def key_was_put(self) -> None:
        """Another key, or none, is in its source's place: it is taken some time, and exchanged when there is budget."""
        self._key_put_s = self.now_s

    def accepted(self, token: Token) -> None:
        """An upstream took it."""
        self._accepted.add(token.secret)

    async def exchange(self, key: Secret) -> Token:
        """Make an exchange, and note what follows from it."""
        began_s, began_true_s = self.now_s, self.now_s + self._slept_s
        if key != self._last_key:
            self._not_before_s, self.refused = -math.inf, False
        self._last_key = key
        if began_s < self._not_before_s - _ROUNDING_S and began_s - self._key_put_s > KEY_EXCHANGED_S:
            self._too_early.append(f"{self._not_before_s - began_s} s before it might")
        self._began_s.append(began_s)
        self._without_token.append(self._kept.credential.current() is None)
        try:
            token = await self._exchange(key)
        except Exception as error:
            self._failed(error)
            raise
        self._not_before_s, self.refused = -math.inf, False
        life_s = token.expires_at - token.obtained_at
        awake_s = self.now_s - began_s
        self._ends[id(token)] = (self.now_s + life_s, began_true_s + awake_s + life_s, began_s)
        return token

    def _failed(self, error: Exception) -> None:
        failed = error if isinstance(error, ExchangeFailed) else ExchangeFailed("bad_response", "")
        self.refused = self.refused or failed.outcome == "key_rejected"
        least_s = PROBE_FIRST_S if self.refused else 0.0
        self._not_before_s = self.now_s + max(least_s, min(failed.retry_after_s or 0.0, MOST_RETRY_AFTER_S))

    # What must come of it

    def budget_is_used_up(self) -> bool:
        """Whether no exchange may begin now."""
        since_s = self.now_s - self._rules.budget_per_s
        return sum(began_s > since_s for began_s in self._began_s) >= self._rules.budget_count

    def check_alive(self, token: Token) -> None:
        """Look at a token that is handed out."""
        awake_until_s, true_until_s, began_s = self._ends[id(token)]
        assert self.now_s <= awake_until_s + _ROUNDING_S, "it is used for longer than it lives"
        if self.set_back_s < began_s:
            # A second of sleep is not looked at, during its exchange or after it.
            assert self.now_s + self._slept_s <= true_until_s + 2 * LEAST_MOVE_S, "it was slept away"

    def check_pace(self) -> None:
        """Look at the exchanges since the last look."""
        assert not self._too_early, self._too_early
        told = self._kept.records.told
        for at in range(max(1, self._judged), len(told)):
            before, record = told[at - 1], told[at]
            if (before.trigger, before.outcome, record.trigger) != ("rejection", "ok", "rejection"):
                continue
            ended_s, began_s = self._ended_s(at - 1), self._began_s[at]
            # Where the replacement is dead already, somebody whose older token was rejected may have asked.
            if not self._without_token[at] and began_s - ended_s < self._rules.hold_down_s - _ROUNDING_S:
                replacement = self._kept.exchanger.given[self._given_before(at) - 1]
                assert replacement.secret in self._accepted, "a replacement is replaced in a hold-down"
        self._judged = len(told)

    def _ended_s(self, at: int) -> float:
        return self._began_s[at] + self._kept.records.told[at].duration_s

    def _given_before(self, at: int) -> int:
        return sum(record.outcome == "ok" for record in self._kept.records.told[:at])
