"""Storing an API key in the operating system's keyring, and taking it out again, by the package `keyring`.

`key_keyring.py` reads it. The rule: a key counts as stored only once it was read back, since a backend may drop it
without a word; and no text here repeats it, nor what a backend says of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sidecar.credentials.key_keyring import MISSING
from sidecar.errors import KeyUnavailable
from sidecar.secret import Secret

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

NO_KEYRING = "there is no keyring here, as is usual on a server or in a container"


def store(service: str, user: str, key: Secret) -> str:
    """Put the key there, in place of any that is there.

    Args:
        service: what it is for.
        user: whose it is.
        key: ASCII text.

    Returns:
        The keyring's name, for a person.

    Raises:
        KeyUnavailable: there is no keyring, or it did not keep the key; the text says so.
    """
    with _keyring() as keyring:
        text = key.reveal().decode("ascii")
        keyring.set_password(service, user, text)
        if keyring.get_password(service, user) != text:
            raise KeyUnavailable(f"the keyring {name_of(keyring)} did not keep it")
        return name_of(keyring)


def remove(service: str, user: str) -> bool:
    """Take the key out; return whether one was there.

    Raises:
        KeyUnavailable: there is no keyring, or it still has it.
    """
    with _keyring() as keyring:
        if keyring.get_password(service, user) is None:
            return False
        keyring.delete_password(service, user)
        if keyring.get_password(service, user) is not None:
            raise KeyUnavailable(f"the keyring {name_of(keyring)} still has it")
        return True


def name_of(keyring: KeyringBackend) -> str:
    """Return what a person may know it by, such as `macOS Keyring`; of a chain, what stores."""
    first = next(iter(getattr(keyring, "backends", ())), keyring)
    return str(getattr(first, "name", type(first).__name__)).removesuffix(" Keyring").strip()


@contextmanager
def _keyring() -> Iterator[KeyringBackend]:
    """Hand out the keyring of this machine, and turn what it raises into sentences."""
    try:
        import keyring
        from keyring.errors import KeyringLocked, NoKeyringError
    except ImportError:
        raise KeyUnavailable(MISSING) from None
    try:
        yield keyring.get_keyring()
    except NoKeyringError:
        raise KeyUnavailable(NO_KEYRING) from None
    except KeyringLocked:
        raise KeyUnavailable("the keyring is locked; unlock it") from None
    except KeyUnavailable:
        raise
    except Exception as error:
        # A backend's own. The type alone: its text could hold anything.
        raise KeyUnavailable(f"the keyring fails ({type(error).__name__})") from None
