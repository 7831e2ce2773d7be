"""Why a credential's last exchange brought no token: what requests and operators are told, and what is logged.

Not when it is tried again, which is `pace.py`, nor what to do about it, which is
`remedies.py`. The rule: a key once refused stays refused, whatever fails after it, until
there is a token or another key.
"""

from __future__ import annotations

import logging

from sidecar.credentials.remedies import remedy
from sidecar.credentials.waiters import anew
from sidecar.errors import CredentialError, ExchangeFailed, KeyRejected, NoToken

_log = logging.getLogger("sidecar.credential")


class LastFailure:
    """None at first, nor after a success.

    Args:
        name: the credential's.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self.error: CredentialError | None = None  # for requests, which have no token then
        self.what: str | None = None  # for operators: there may still be a token
        self.key_rejected = False

    def no_key(self, problem: str, key_remedy: str) -> CredentialError:
        """Note that the key's source holds none; log it where that is new."""
        what_to_do = remedy("no_key", key_remedy)
        if self.error is None or self.error.detail != problem:
            _log.error("credential %s: %s; what to do: %s", self._name, problem, what_to_do)
        self.error = NoToken(problem, reason="no_key", retry_after_s=1, remedy=what_to_do)
        self.what = problem
        return self.error

    def note(self, failed: ExchangeFailed, key_remedy: str, *, wait_s: float, left_s: float) -> CredentialError:
        """Note and log that an exchange failed; return what those are told who wait for it.

        Args:
            failed: how.
            key_remedy: how this credential gets another key.
            wait_s: seconds until the next try.
            left_s: for how long there is a valid token yet; not positive: there is none.
        """
        before = self.error
        detail = f"no token for credential {self._name}: {failed.detail}"
        what_to_do = remedy(failed.cause, key_remedy)
        if failed.outcome == "key_rejected":
            self.key_rejected = True
            self.error, self.what = KeyRejected(detail, reason="key_rejected", remedy=what_to_do), failed.detail
        elif not self.key_rejected:
            self.error, self.what = NoToken(detail, reason="no_token", remedy=what_to_do), failed.detail
        assert self.error is not None  # noqa: S101  # this one, or the refusal before it
        is_new = before is None or before.remedy != what_to_do
        self._log(failed.detail, wait_s, left_s, what_to_do if is_new else None)
        return anew(self.error, wait_s)

    def take_over(self, other: LastFailure) -> None:
        """What failed there has failed here."""
        self.error, self.what, self.key_rejected = other.error, other.what, other.key_rejected

    def forget(self) -> None:
        """There is a token, or another key."""
        self.error = self.what = None
        self.key_rejected = False

    def excuse(self) -> None:
        """What failed before need not fail now; but a refused key is still refused."""
        if not self.key_rejected:
            self.error = self.what = None

    def _log(self, detail: str, wait_s: float, left_s: float, what_to_do: str | None) -> None:
        """An error is logged where requests fail, or will when the token that is left has expired."""
        log = _log.error if self.key_rejected or left_s <= 0 else _log.warning
        text = f"{detail}; next try in {wait_s:.1f} s"
        if left_s > 0:
            text += f"; the token in use is valid for {left_s:.0f} s more"
        if what_to_do is not None:
            text += f"; what to do: {what_to_do}"
        log("credential %s: no new token from the exchange: %s", self._name, text)
