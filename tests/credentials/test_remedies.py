"""What a person is told to do: something else for each cause, and never what they were told already."""

from __future__ import annotations

import asyncio
import logging

import pytest

from sidecar.credentials.remedies import NO_HELP_REMEDY, remedy
from sidecar.credentials.status import CredentialStatus
from sidecar.credentials.token import Token
from sidecar.errors import CAUSES, Cause, ExchangeFailed, KeyRejected, NoToken
from sidecar.problem import problem
from sidecar.secret import Secret
from tests.credentials.kept import DOWN, GOOD_KEY, REFUSED, FakeKeySource, Kept, Says, keeping, outcome
from tests.credentials.virtual_time import in_virtual_time

GET_A_KEY = "put a valid API key into file /keys/key"


@pytest.mark.parametrize("cause", CAUSES)
def test_each_cause_has_a_remedy_of_its_own(cause: Cause) -> None:
    """One that nobody else has, that begins with what to do, and that says how it ends."""
    text = remedy(cause, GET_A_KEY)
    assert [other for other in CAUSES if remedy(other, GET_A_KEY) == text] == [cause]
    assert text.split()[0] in {
        "put",
        "check",
        "see",
        "look",
        "compare",
        "correct",
        "make",
        "set",
        "do",
        "report",
        "if",
        "where",
    }
    if cause not in ("key", "grant", "no_key", "settings"):
        assert text.endswith("; it is tried again by itself")
    once = remedy(cause, GET_A_KEY, tries_again=False)
    assert text.startswith(once) and "by itself" not in once
    assert len(text) < 330 and text.isascii() and "\n" not in text


@pytest.mark.parametrize(
    ("cause", "names"),
    [
        ("key", (GET_A_KEY, "5 min", "/-/refresh")),
        ("grant", (GET_A_KEY, "clock")),
        ("no_key", (GET_A_KEY, "mounted", "may read")),
        ("settings", ("exchange.form", "scope")),
        ("dns", ("exchange.url", "look names up")),
        ("refused", ("port", "exchange.url")),
        ("tls_authority", ("exchange.tls.ca_file",)),
        ("tls_name", ("exchange.tls.server_name",)),
        ("tls_dates", ("date -u", "renew")),
        ("rate", ("same key", "as long as it asks")),
        ("clock", ("date -u",)),
        ("url", ("exchange.url", "exchange.method")),
        ("expiry", ("exchange.response.expires_at", "refresh.default_ttl")),
        ("slow", ("exchange.timeout",)),
        ("error_answer", ("rejected",)),
    ],
)
def test_a_remedy_names_what_to_touch(cause: Cause, names: tuple[str, ...]) -> None:
    """The key of the configuration, the command, or the person."""
    assert all(name in remedy(cause, GET_A_KEY) for name in names)


def test_where_exchanging_does_not_help_somebody_has_to_be_asked() -> None:
    """What the account may lack, whom to ask, and that it ends by itself."""
    for words in ("will not help", "administrator", "role, scope", "ends by itself"):
        assert words in NO_HELP_REMEDY


class Causes:
    """Fails each exchange for the next of these causes."""

    def __init__(self, kept: Kept, *causes: Cause) -> None:
        self._causes = list(causes)
        kept.exchanger.exchange = self.exchange  # type: ignore[method-assign]

    async def exchange(self, key: Secret) -> Token:
        """Fail."""
        await asyncio.sleep(0.01)
        cause = self._causes.pop(0) if len(self._causes) > 1 else self._causes[0]
        permanent = cause in ("key", "grant", "settings")
        raise ExchangeFailed("key_rejected" if permanent else "bad_response", f"it was {cause}", cause=cause)


@pytest.mark.parametrize("cause", ["key", "settings", "dns", "tls_name", "clock", "url", "rate"])
@in_virtual_time
async def test_the_cause_decides_what_status_and_requests_are_told(cause: Cause) -> None:
    """Error and remedy say two things, in the status, and in the answer that a request gets."""
    async with keeping() as kept:
        Causes(kept, cause)
        error = await outcome(kept.credential.wait())
        assert isinstance(error, NoToken | KeyRejected)
        assert error.detail == f"no token for credential crm: it was {cause}"
        assert error.remedy == remedy(cause, f"{GET_A_KEY}: it is used as soon as it is there")
        status = kept.credential.status()
        # Told beside a credential, which may still have a token.
        assert (status.error, status.remedy) == (f"it was {cause}", error.remedy)
        assert not _repeats(status)


def _repeats(status: CredentialStatus) -> bool:
    """Whether four words in a row of the error stand in the remedy too."""
    words = (status.error or "").split()
    return any(" ".join(words[at : at + 4]) in (status.remedy or "") for at in range(len(words) - 3))


@in_virtual_time
async def test_a_refused_key_keeps_its_remedy_while_its_probes_fail_otherwise() -> None:
    """What a person has to do has not changed; the time of the next try has."""
    async with keeping() as kept:
        Causes(kept, "key", "dns")
        await asyncio.sleep(61)
        assert kept.records.told[-1].detail == "it was dns"
        error = await outcome(kept.credential.wait())
        assert isinstance(error, KeyRejected)
        assert error.detail.endswith("it was key")
        assert error.retry_after_s is not None and error.retry_after_s > 80


@in_virtual_time
async def test_a_new_key_that_is_refused_alarms_while_the_old_token_is_used(caplog: pytest.LogCaptureFixture) -> None:
    """An error in the log with the time that is left and what to do; the state; the status. Requests go on."""
    with caplog.at_level(logging.WARNING, "sidecar.credential"):
        async with keeping(good_keys=[GOOD_KEY]) as kept:
            token = await kept.credential.wait()
            kept.source.key = Secret("a-wrong-key")
            await asyncio.sleep(5)
            status = kept.credential.status()
            assert (status.state, status.usable) == ("key_rejected", True)
            assert status.remedy is not None and status.remedy.startswith(GET_A_KEY)
            assert kept.credential.current() is token
            await asyncio.sleep(600)
    said = [record for record in caplog.records if "no new token from the exchange" in record.getMessage()]
    assert {record.levelname for record in said} == {"ERROR"}
    assert "the token in use is valid for 359" in said[0].getMessage()
    assert "what to do: put a valid API key" in said[0].getMessage()
    assert not any("what to do" in record.getMessage() for record in said[1:]), "it is said once"
    assert len(said) == kept.count - 1


@in_virtual_time
async def test_the_log_says_what_to_do_again_where_that_has_changed(caplog: pytest.LogCaptureFixture) -> None:
    """A warning while the old token lasts, an error afterwards."""
    with caplog.at_level(logging.WARNING, "sidecar.credential"):
        async with keeping(Says(life_s=60)) as kept:
            await kept.credential.wait()
            Causes(kept, "dns", "dns", "tls_name", "tls_name", "dns")
            await asyncio.sleep(100)
    told = [("what to do" in record.getMessage()) for record in caplog.records]
    assert told[:5] == [True, False, True, False, True]
    assert [caplog.records[0].levelname, caplog.records[-1].levelname] == ["WARNING", "ERROR"]


@in_virtual_time
async def test_a_key_source_that_cannot_be_read_says_so_with_its_remedy() -> None:
    """Before there ever was a key."""
    async with keeping(source=FakeKeySource(None)) as kept:
        await asyncio.sleep(1)
        error = await outcome(kept.credential.wait())
        assert isinstance(error, NoToken)
        assert error.remedy is not None and "may read it" in error.remedy


@pytest.mark.parametrize("says", [DOWN, REFUSED])
@in_virtual_time
async def test_an_answer_of_ours_holds_the_remedy(says: Says) -> None:
    """As a member of its own; and in `message`, for whoever sees that alone."""
    async with keeping(then=says) as kept:
        error = await outcome(kept.credential.wait())
        assert isinstance(error, NoToken | KeyRejected)
        body = problem(error, close=False).partition(b"\r\n\r\n")[2].decode()
    assert f'"remedy": "{error.remedy}"' in body
    assert f'"message": "{error.detail}; what to do: {error.remedy}"' in body
    assert b'"remedy"' not in problem(NoToken("no"), close=False)
