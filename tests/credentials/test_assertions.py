"""What is signed with a private key, when, and what an endpoint that verifies it makes of it."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import replace
from email.utils import formatdate
from urllib.parse import parse_qs

import jwt
import pytest

from sidecar.credentials.assertion import signed
from sidecar.credentials.exchange import HTTPExchanger
from sidecar.credentials.pem import clean_pem
from sidecar.credentials.rules import SIGN_ALGS, BasicAuth, ExchangeRules, Injection, RejectedRules, SignRules
from sidecar.errors import ExchangeFailed, KeyUnavailable
from sidecar.secret import Secret
from tests.cli.command import python
from tests.credentials.endpoint import Endpoint, answer, endpoint, says
from tests.credentials.exchanging import GOOD, POINTERS
from tests.credentials.manual_clock import NOW, ManualClock
from tests.private_keys import pem, private_key

KEY = clean_pem(pem("rsa"), "the tests")
SIGN = SignRules(claims={"iss": "me", "scope": "a b"})
KIND_OF = {"RS": "rsa", "PS": "rsa", "ES256": "p256", "ES384": "p384", "ES512": "p521", "EdDSA": "ed25519"}
FORM = (("grant_type", "g"), ("assertion", "{assertion}"))


def claims_of(assertion: str, audience: str, *, kind: str = "rsa", alg: str = "RS256") -> dict[str, object]:
    """Return the claims of an assertion, verified but for its times, which are those of a clock of the test's."""
    skip = {"verify_exp": False, "verify_iat": False}
    claims: dict[str, object] = jwt.decode(
        assertion,
        private_key(kind).public_key(),
        [alg],
        audience=audience,
        options=skip,  # type: ignore[arg-type]
    )
    return claims


def rules(port: int, sign: SignRules = SIGN, **more: object) -> ExchangeRules:
    """Return rules that post an assertion to the endpoint on a port of 127.0.0.1."""
    return ExchangeRules(url=url(port), form=FORM, sign=sign, response=POINTERS, **more)  # type: ignore[arg-type]


def url(port: int) -> str:
    """Return the endpoint's address, which is the assertions' audience."""
    return f"http://127.0.0.1:{port}/token"


def posted(server: Endpoint, number: int = -1) -> str:
    """Return the assertion of a request that the endpoint got."""
    return parse_qs(server.requests[number].partition(b"\r\n\r\n")[2].decode())["assertion"][0]


def exchanger(of: ExchangeRules, clock: ManualClock | None = None) -> HTTPExchanger:
    """Build an exchanger whose assertions are numbered."""
    ids = iter(map(str, range(9)))
    return HTTPExchanger(of, RejectedRules(), Injection(), 300, clock or ManualClock(), unique=lambda: next(ids))


@pytest.mark.parametrize("alg", SIGN_ALGS)
def test_every_algorithm_signs(alg: str) -> None:
    """With a key of its kind, what anybody can verify who has the public one."""
    kind = KIND_OF.get(alg) or KIND_OF[alg[:2]]
    assertion = signed(Secret(pem(kind)), SignRules(alg, {"iss": "me"}), "https://a", NOW, "1").reveal().decode()
    assert claims_of(assertion, "https://a", kind=kind, alg=alg)["iss"] == "me"
    assert jwt.get_unverified_header(assertion) == {"alg": alg, "typ": "JWT"}


async def test_what_an_assertion_says() -> None:
    """The user's claims and header, the endpoint as its audience, valid from a moment ago until life's end, one id."""
    sign = SignRules(claims={"iss": "me", "n": 1, "x": {"y": ["z"]}}, headers=(("kid", "7"),))
    async with endpoint(says(GOOD)) as server:
        made = exchanger(rules(server.port, sign))
        for _ in range(2):
            await made.exchange(KEY)
        first, second = (claims_of(posted(server, number), url(server.port)) for number in (0, 1))
    assert first == {
        "iss": "me",
        "n": 1,
        "x": {"y": ["z"]},
        "aud": url(server.port),
        "iat": NOW - 10,
        "exp": NOW + 300,
        "jti": "0",
    }
    assert second == first | {"jti": "1"}
    assert jwt.get_unverified_header(posted(server)) == {"alg": "RS256", "typ": "JWT", "kid": "7"}


async def test_an_id_is_never_used_twice() -> None:
    """Unless a test makes them, ids are random."""
    async with endpoint(says(GOOD)) as server:
        for _ in range(2):
            await HTTPExchanger(rules(server.port), RejectedRules(), Injection(), 300, ManualClock()).exchange(KEY)
        ids = {str(claims_of(posted(server, number), url(server.port))["jti"]) for number in (0, 1)}
    assert len(ids) == 2 and all(len(one) == 32 for one in ids)


def test_claims_lie_over_what_is_added() -> None:
    """Another audience; or none, and no id, for whoever wants neither."""
    over = SignRules(claims={"iss": "me", "aud": ["b", "c"]})
    assert claims_of(signed(KEY, over, "https://a", NOW, "1").reveal().decode(), "b")["aud"] == ["b", "c"]
    less = SignRules(claims={"iss": "me", "aud": None, "jti": None}, life_s=60.0, backdate_s=0.0)
    assertion = signed(KEY, less, "https://a", NOW + 0.9, "1").reveal().decode()
    assert jwt.decode(assertion, options={"verify_signature": False}) == {"iss": "me", "iat": NOW, "exp": NOW + 60}


async def test_the_private_key_is_in_no_request() -> None:
    """Neither it nor a line of it, wherever what it signs is put."""
    sign = SignRules(claims={"iss": "me"})
    everywhere = ExchangeRules(
        url="",
        headers=(("Authorization", "Bearer {assertion}"),),
        json={"assertion": ["<{assertion}>"], "key": "{api_key}"},
        basic=BasicAuth("me", "{assertion}"),
        sign=sign,
        response=POINTERS,
    )
    async with endpoint(says(GOOD)) as server:
        await exchanger(replace(everywhere, url=url(server.port))).exchange(KEY)
    (request,) = server.requests
    body = json.loads(request.partition(b"\r\n\r\n")[2])
    assertion = body["assertion"][0].strip("<>")
    assert f"Authorization: Bearer {assertion}\r\n".encode() in request
    assert claims_of(assertion, url(server.port))["iss"] == "me"
    # Without a signature it would be filled in; with one it means nothing.
    assert body["key"] == "{api_key}"
    assert not any(line in request for line in KEY.reveal().splitlines() if not line.startswith(b"-"))


async def test_a_key_that_cannot_sign_reaches_nobody() -> None:
    """No connection is made; the reason says what to do."""
    async with endpoint(says(GOOD)) as server:
        made = exchanger(rules(server.port, SignRules("ES256", {"iss": "me"})))
        with pytest.raises(KeyUnavailable, match=r"set exchange\.sign\.alg to RS256"):
            await made.exchange(KEY)
    assert server.connections == 0


async def test_a_wrong_clock_is_made_up_for() -> None:
    """The endpoint refuses what was signed an hour ago by its clock: it is signed anew by its clock, once."""
    theirs = NOW + 3600

    async def verifies(writer: asyncio.StreamWriter) -> None:
        claims = jwt.decode(posted(server), options={"verify_signature": False})
        good = claims["iat"] <= theirs < claims["exp"]
        date = f"Date: {formatdate(theirs, usegmt=True)}"
        reply = answer(b'{"token": "abc"}', date) if good else answer(b"{}", date, status="400 Bad Request")
        writer.write(reply)
        await writer.drain()

    async with endpoint(verifies) as server:
        made = exchanger(rules(server.port))
        assert (await made.exchange(KEY)).secret.reveal() == b"abc"
        assert len(server.requests) == 2
        await made.exchange(KEY)
    assert len(server.requests) == 3, "what was learnt about the clocks is kept"


async def test_a_date_that_is_wrong_is_not_believed_for_long() -> None:
    """A proxy's old `Date` on a refusal: once it has not helped, our own clock is gone by again."""
    date = f"Date: {formatdate(NOW - 3600, usegmt=True)}"
    known = False

    async def verifies(writer: asyncio.StreamWriter) -> None:
        claims = jwt.decode(posted(server), options={"verify_signature": False})
        good = known and claims["iat"] <= NOW < claims["exp"]
        reply = answer(b'{"token": "abc"}', date) if good else answer(b"{}", date, status="400 Bad Request")
        writer.write(reply)
        await writer.drain()

    async with endpoint(verifies) as server:
        made = exchanger(rules(server.port))
        with pytest.raises(ExchangeFailed):
            await made.exchange(KEY)
        assert len(server.requests) == 2
        known = True
        assert (await made.exchange(KEY)).secret.reveal() == b"abc"
    assert len(server.requests) == 3


async def test_a_refusal_by_the_same_clock_is_not_tried_again() -> None:
    """Nor one that says nothing about the time, nor one that another clock does not explain a second time."""
    for moment, requests in ((NOW + 4, 1), (None, 1), (NOW + 3600, 2), (NOW - 3600, 2)):
        fields = [] if moment is None else [f"Date: {formatdate(moment, usegmt=True)}"]
        async with endpoint(says(answer(b"{}", *fields, status="400 Bad Request"))) as server:
            with pytest.raises(ExchangeFailed) as failed:
                await exchanger(rules(server.port)).exchange(KEY)
        assert (failed.value.outcome, len(server.requests)) == ("key_rejected", requests)


@pytest.mark.parametrize("status", ["503", "429", "404"])
async def test_a_failure_of_theirs_is_not_tried_again_for_its_clock(status: str) -> None:
    """Only what says that the key is bad may mean the clock: a limit is not answered by one more request."""
    fields = f"Date: {formatdate(NOW + 3600, usegmt=True)}"
    async with endpoint(says(answer(b"{}", fields, status=f"{status} No"))) as server:
        with pytest.raises(ExchangeFailed, match=status):
            await exchanger(rules(server.port)).exchange(KEY)
    assert len(server.requests) == 1


async def test_where_no_thread_can_be_had_it_is_signed_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine at its limit of threads costs 3 ms of the loop, not the token."""

    async def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(asyncio, "to_thread", refuse)
    async with endpoint(says(GOOD)) as server:
        await exchanger(rules(server.port)).exchange(KEY)


@pytest.mark.parametrize("missing", ["jwt", "cryptography"])
def test_what_is_missing_for_signing_is_said(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it went missing after the configuration was read."""
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(KeyUnavailable, match="pip install 'credential-sidecar\\[sign\\]'"):
        signed(KEY, SIGN, "https://a", NOW, "1")


def test_signing_holds_the_loop_for_milliseconds() -> None:
    """Examining an RSA key of 2048 bits takes 30 ms of CPU time, in which no thread of the process runs: left out."""
    signed(KEY, SIGN, "https://a", NOW, "1")
    costs = []
    for _ in range(7):
        start = time.thread_time()
        signed(KEY, SIGN, "https://a", NOW, "1")
        costs.append(time.thread_time() - start)
    assert min(costs) < 0.01


def test_nothing_is_imported_for_signing_until_something_is_signed() -> None:
    """A sidecar that signs nothing pays nothing: neither memory nor time."""
    code = (
        "import sys; import sidecar.assembly, sidecar.config.loader, sidecar.credentials.assertion as a\n"
        "a.can_sign(); print([name for name in ('jwt', 'cryptography') if name in sys.modules])"
    )
    assert python("-c", code).out.strip() == "[]"
    assert "jwt" in sys.modules
