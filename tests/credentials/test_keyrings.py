"""A key in the operating system's keyring: a backend of the package's own kind stands for it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends.fail import Keyring as NoKeyring
from keyring.errors import KeyringLocked

from sidecar.credentials.key_keyring import KeyringKey
from sidecar.errors import KeyUnavailable

CANARY = "gct_canary_of_a_keyring"


class FakeKeyring(KeyringBackend):
    """Holds one entry, and fails if told to."""

    priority = 1

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # the package's
        self.entries: dict[tuple[str, str], str] = {}
        self.fails: Exception | None = None
        self.asked_in: set[threading.Thread] = set()

    def get_password(self, service: str, username: str) -> str | None:
        """Return an entry."""
        self.asked_in.add(threading.current_thread())
        if self.fails is not None:
            raise self.fails
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        """Put an entry there."""
        self.entries[service, username] = password


@pytest.fixture
def backend() -> Iterator[FakeKeyring]:
    """A keyring in use, until the test is over."""
    before = keyring.get_keyring()
    fake = FakeKeyring()
    keyring.set_keyring(fake)
    yield fake
    keyring.set_keyring(before)


async def refusal(source: KeyringKey) -> str:
    """Look for a key that is not to be had, and return what is said of that."""
    with pytest.raises(KeyUnavailable) as refused:
        await source.read()
    return str(refused.value)


async def test_a_key_is_looked_up_beside_the_loop(backend: FakeKeyring) -> None:
    """It may wait for a person; a key that changes is another the next time."""
    source = KeyringKey("giantcontext", "me")
    for key in ("gct_old", "gct_new"):
        keyring.set_password("giantcontext", "me", key + "\n")
        assert (await source.read()).reveal() == key.encode()
    assert threading.main_thread() not in backend.asked_in


async def test_an_entry_that_is_not_there(backend: FakeKeyring) -> None:
    """The sentence says how it gets there."""
    backend.entries["giantcontext", "you"] = "key"
    assert await refusal(KeyringKey("giantcontext", "me")) == (
        "keyring entry giantcontext/me is not there; put it there: sidecar login giantcontext/me"
    )


@pytest.mark.parametrize("entry", ["", f"{CANARY} a", f"{CANARY}é", f"{CANARY}\udc80", f"{CANARY}\n\n"])
async def test_an_entry_that_is_no_key(backend: FakeKeyring, entry: str) -> None:
    """The same rules as for a file; nothing of it is repeated."""
    backend.entries["giantcontext", "me"] = entry
    text = await refusal(KeyringKey("giantcontext", "me"))
    assert text.startswith("keyring entry giantcontext/me ")
    assert CANARY not in text


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KeyringLocked(CANARY), "the keyring is locked; unlock it"),
        (OSError(CANARY), "the keyring fails (OSError)"),
        (RuntimeError(CANARY), "the keyring fails (RuntimeError)"),
    ],
)
async def test_a_keyring_that_fails(backend: FakeKeyring, error: Exception, said: str) -> None:
    """What its own error says could hold anything."""
    backend.fails = error
    assert await refusal(KeyringKey("giantcontext", "me")) == (f"keyring entry giantcontext/me cannot be read: {said}")


@pytest.mark.usefixtures("backend")
async def test_a_machine_without_a_keyring() -> None:
    """A server, most likely: a file will do there."""
    keyring.set_keyring(NoKeyring())  # type: ignore[no-untyped-call]  # the package's
    assert await refusal(KeyringKey("giantcontext", "me")) == (
        "keyring entry giantcontext/me cannot be read: there is no keyring here; use a file"
    )


async def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an extra, which most have no need of."""
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert await refusal(KeyringKey("giantcontext", "me")) == (
        "keyring entry giantcontext/me cannot be read: the package keyring is missing:"
        " pip install 'credential-sidecar[keyring]', or use a file"
    )
