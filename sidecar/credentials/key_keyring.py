"""An API key in the keyring of the operating system, by the package `keyring` (the extra of that name)."""

from __future__ import annotations

from sidecar.credentials.aside import aside
from sidecar.credentials.keys import Clean, Looks, Unfollowed, clean_key
from sidecar.errors import KeyUnavailable
from sidecar.secret import Secret

MISSING = "the package keyring is missing: pip install 'credential-sidecar[keyring]', or use a file"


class KeyringKey(Unfollowed):
    """A key in the operating system's keyring. It is looked up once, and again when it was refused.

    Args:
        service: what it is for.
        user: whose it is.
        clean: what a key is, where that is not visible ASCII.
    """

    kind = "keyring"
    watched = False
    looks = Looks(asked=True)

    def __init__(self, service: str, user: str, clean: Clean | None = None) -> None:
        self._clean = clean or clean_key
        self.description = f"keyring entry {service}/{user}"
        self._service = service
        self._user = user

    async def read(self) -> Secret:
        """Return the key. Raises KeyUnavailable where there is none, or no keyring, or it stays locked."""
        # In a thread: it may wait until a person has unlocked it.
        try:
            text = await aside(self._read)
        except RuntimeError:
            raise KeyUnavailable(f"{self.description} cannot be read: no thread to read it in") from None
        if text is None:
            advice = f"put it there: sidecar login {self._service}/{self._user}"
            raise KeyUnavailable(f"{self.description} is not there; {advice}")
        return self._clean(text.encode(errors="surrogatepass"), self.description)

    def _read(self) -> str | None:
        try:
            import keyring
            from keyring.errors import KeyringLocked, NoKeyringError
        except ImportError:
            raise KeyUnavailable(f"{self.description} cannot be read: {MISSING}") from None
        try:
            return keyring.get_password(self._service, self._user)
        except NoKeyringError:
            raise KeyUnavailable(f"{self.description} cannot be read: there is no keyring here; use a file") from None
        except KeyringLocked:
            raise KeyUnavailable(f"{self.description} cannot be read: the keyring is locked; unlock it") from None
        except Exception as error:
            # A backend's own. The type alone: its text could hold anything.
            problem = f"the keyring fails ({type(error).__name__})"
            raise KeyUnavailable(f"{self.description} cannot be read: {problem}") from None
