"""What counts as a private key in PEM, in whatever state it arrives, and what is said of everything else."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from sidecar.credentials.assertion import signed
from sidecar.credentials.key_command import CommandKey
from sidecar.credentials.key_file import FileKey
from sidecar.credentials.key_watch import KeyWatch
from sidecar.credentials.keys import EnvironmentKey, LiteralKey
from sidecar.credentials.pem import clean_pem
from sidecar.credentials.rules import SignRules
from sidecar.errors import KeyUnavailable
from sidecar.secret import Secret
from tests.private_keys import KINDS, pem, private_key

RULES = SignRules(claims={"iss": "me"})
RSA = pem("rsa")
BODY = RSA.splitlines()[5].decode()


def refused(content: bytes, rules: SignRules | None = None) -> str:
    """Return why a content is no key, or one that cannot sign by these rules; nothing of it may be repeated."""
    with pytest.raises(KeyUnavailable) as caught:
        key = clean_pem(content, "file KEY")
        if rules is not None:
            signed(key, rules, "https://a", 0.0, "1")
    text = str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert "-----" not in text
    assert not any(line in text for line in content.decode("latin-1").split() if len(line) > 12)
    return text


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_every_form_of_every_kind_is_taken_as_it_is(kind: str, form: PrivateFormat) -> None:
    """Byte for byte, where nothing has to be put right."""
    if kind == "ed25519" and form is PrivateFormat.TraditionalOpenSSL:
        return  # there is no such form
    assert clean_pem(pem(kind, form), "file KEY").reveal() == pem(kind, form)


@pytest.mark.parametrize(
    "mangled",
    [
        b"\xef\xbb\xbf" + RSA,
        RSA.replace(b"\n", b"\r\n"),
        RSA.rstrip(b"\n"),
        b"\n\n  " + RSA + b"\n\n",
        RSA.replace(b"\n", rb"\n"),
        RSA.replace(b"\n", rb"\r\n"),
        RSA.replace(b"\n", b" "),
        RSA.replace(b"\n", b""),
        b'"' + RSA.replace(b"\n", rb"\n") + b'"',
        b"\n".join(b"    " + line for line in RSA.splitlines()),
        b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n" + RSA,
        RSA + b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
        json.dumps({"type": "service_account", "private_key": RSA.decode(), "client_id": "1"}, indent=2).encode(),
        b"Bag Attributes\n  friendlyName: mine\n" + RSA,
    ],
)
def test_a_key_that_was_mangled_on_its_way_is_put_right(mangled: bytes) -> None:
    """As variables, secret stores and editors leave it; so that it is also the same key as before, not a new one."""
    assert clean_pem(mangled, "file KEY") == Secret(RSA)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"x" * 70_000, "more than 65536 bytes"),
        (b"gct_a-key-of-another-kind", "no private key in PEM"),
        (b"\xff\xfe\x00binary", "no private key in PEM"),
        (RSA[:-40], "only a part"),
        (RSA[:300], "only a part"),
        (RSA.replace(b"END PRIVATE", b"END RSA PRIVATE"), "only a part"),
        (RSA.replace(BODY.encode(), b"!" * 64), "no private key in PEM"),
        (b'{"type": "service_account"}', "no private key in PEM"),
        (pem("rsa", password=b"secret"), "encrypted"),
        (pem("rsa", PrivateFormat.TraditionalOpenSSL, b"secret"), "encrypted"),
        (pem("ed25519", PrivateFormat.OpenSSH), "ssh-keygen"),
        (
            private_key("rsa").public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
            "no private key in PEM",
        ),
    ],
)
def test_what_is_no_key_says_what_to_do(content: bytes, word: str) -> None:
    """Each kind of wrong thing in its own words; the source is named and nothing of it quoted."""
    text = refused(content)
    assert word in text and text.startswith("file KEY ")


@pytest.mark.parametrize(
    "content",
    [
        b"-----BEGIN A-----" * 3800,
        b"-----BEGIN " * 5900,
        b"-----BEGIN A-----" * 1900 + b"-----END B-----" * 1900,
        b"-" * 65_000,
    ],
)
def test_what_is_no_key_is_known_soon(content: bytes) -> None:
    """A file is read again each second, in the loop that serves requests: none takes seconds to be told from a key."""
    start = time.thread_time()
    refused(content)
    assert time.thread_time() - start < 0.2


@given(
    st.lists(st.sampled_from([RSA[:27], RSA[-25:], RSA[27:300], b"-----", b"BEGIN ", b"END ", b"\\n", b"\n", b"\xff"]))
)
def test_any_pieces_are_a_key_or_are_none(pieces: list[bytes]) -> None:
    """Nothing but the one error comes out of anything; and what comes out as a key is one block of PEM."""
    try:
        key = clean_pem(b"".join(pieces), "file KEY").reveal()
    except KeyUnavailable:
        return
    assert re.fullmatch(rb"-----BEGIN ([A-Z ]+)-----\n(?:[A-Za-z0-9+/=]{1,64}\n)+-----END \1-----\n", key)


@pytest.mark.parametrize(
    ("key", "alg", "word"),
    [
        ("rsa", "ES256", "set exchange.sign.alg to RS256"),
        ("rsa", "EdDSA", "set exchange.sign.alg to RS256"),
        ("p256", "RS256", "set exchange.sign.alg to ES256"),
        ("p384", "ES256", "set exchange.sign.alg to ES384"),
        ("ed25519", "RS256", "set exchange.sign.alg to EdDSA"),
        ("k256", "ES256", "expected P-256 or P-384"),
        ("rsa-small", "RS256", "fewer than 2048 bits"),
    ],
)
def test_a_key_of_the_wrong_kind_says_which_algorithm_is_its_own(key: str, alg: str, word: str) -> None:
    """Before anything is signed."""
    assert word in refused(pem(key), SignRules(alg, {"iss": "me"}))


def test_a_pem_with_something_else_in_it() -> None:
    """Right from outside, nonsense within; a key that signs nothing."""
    nonsense = re.sub(rb"(?s)-\n.*\n-", b"-\nAAAA\n-", RSA)
    assert "what is in it is none" in refused(nonsense, RULES)


def test_a_damaged_key_signs_nothing_that_is_sent() -> None:
    """Its numbers are not examined, which would take 30 ms in which nothing else runs: its signature is verified."""
    key = private_key("rsa")
    assert isinstance(key, rsa.RSAPrivateKey)
    right = key.private_numbers()
    wrong = (right.p, right.q, right.d + 2, right.dmp1 + 2, right.dmq1, right.iqmp, right.public_numbers)
    damaged = rsa.RSAPrivateNumbers(*wrong).private_key(unsafe_skip_rsa_key_validation=True)
    content = damaged.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    assert "damaged" in refused(content, RULES)


async def test_a_key_file_that_is_being_written_is_no_key_yet(tmp_path: Path) -> None:
    """Half a PEM is never taken, however long it stays; the whole one is, once it has settled."""
    file = tmp_path / "key.pem"
    file.write_bytes(RSA)
    watch = KeyWatch(FileKey(file, clean_pem), lambda: None)
    file.write_bytes(pem("p256")[:100])
    for _ in range(3):
        assert await watch.poll(Secret(RSA)) is None
        assert watch.problem is not None and "only a part" in watch.problem
    file.write_bytes(pem("p256"))
    assert await watch.poll(Secret(RSA)) is None
    assert await watch.poll(Secret(RSA)) == Secret(pem("p256"))


async def test_every_source_can_hold_one(tmp_path: Path) -> None:
    """A file, a variable, a command, the configuration; and none of them takes one where a key is to be sent."""
    (tmp_path / "key").write_bytes(RSA)
    one_line = RSA.decode().replace("\n", "\\n")
    for source in (
        FileKey(tmp_path / "key", clean_pem),
        EnvironmentKey("KEY", {"KEY": one_line}, clean_pem),
        LiteralKey(Secret(one_line), clean_pem),
        CommandKey(["/bin/cat", str(tmp_path / "key")], clean_pem, environ={}),
    ):
        assert await source.read() == Secret(RSA)
    with pytest.raises(KeyUnavailable, match="which no API key has"):
        await FileKey(tmp_path / "key").read()
