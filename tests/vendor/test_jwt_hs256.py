"""The vendor's tokens are JWTs that any library verifies, and nothing else passes for one."""

from __future__ import annotations

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.vendor.jwt_hs256 import sign, verify

_SECRET = b"0123456789abcdef0123456789abcdef"
_CLAIMS = {"sub": "acc", "iat": 1, "exp": 4_000_000_000, "jti": "ff"}

json_values = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5)


@given(st.dictionaries(st.text(), json_values))
def test_verify_returns_what_was_signed(claims: dict[str, object]) -> None:
    """What was signed comes back."""
    assert verify(sign(claims, _SECRET), _SECRET) == claims


def test_pyjwt_accepts_our_token() -> None:
    """A library that is not ours verifies the signature and reads the claims."""
    assert jwt.decode(sign(_CLAIMS, _SECRET), _SECRET, algorithms=["HS256"]) == _CLAIMS


def test_we_accept_what_pyjwt_signs_with_our_header() -> None:
    """The claims of the same token made by a library that is not ours are read."""
    assert verify(jwt.encode(_CLAIMS, _SECRET, "HS256"), _SECRET) == _CLAIMS


def test_another_secret_has_no_claims() -> None:
    """A token of another secret is nothing."""
    assert verify(sign(_CLAIMS, _SECRET), b"x" * 32) is None


@given(st.integers(0, 10_000), st.characters())
def test_a_changed_character_has_no_claims(place: int, character: str) -> None:
    """One character changed anywhere makes it nothing."""
    token = sign(_CLAIMS, _SECRET)
    place %= len(token)
    changed = token[:place] + character + token[place + 1 :]
    assert (verify(changed, _SECRET) == _CLAIMS) is (changed == token)


@pytest.mark.parametrize("token", ["", ".", "..", "a.b.c", "\udcff.\udcff.\udcff", "é.é.é", "a" * 100_000])
def test_nonsense_has_no_claims(token: str) -> None:
    """Text that is no token is nothing, and raises nothing."""
    assert verify(token, _SECRET) is None


def test_unsigned_has_no_claims() -> None:
    """`alg: none` is nothing."""
    assert verify(jwt.encode(_CLAIMS, "", "none"), _SECRET) is None
