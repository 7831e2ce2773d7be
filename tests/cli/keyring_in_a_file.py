"""A keyring for a command in a process of its own: PYTHON_KEYRING_BACKEND names it, KEYRING_FILE where keys are."""

from __future__ import annotations

import json
import os
from pathlib import Path

from keyring.backend import KeyringBackend
from keyring.compat.properties import classproperty
from keyring.errors import KeyringLocked


class KeyringInAFile(KeyringBackend):
    """Keeps keys, or, by KEYRING_FAULT, is `locked`, `forgets` them or `crashes`."""

    name = "file Keyring"

    @classproperty
    def priority(cls) -> float:  # of the class, as the package has it
        """Raise where it was not asked for: in the tests' own process it is loaded, and is no keyring of theirs."""
        if "KEYRING_FILE" not in os.environ:
            raise RuntimeError("KEYRING_FILE is not set")
        return 1

    @property
    def _file(self) -> Path:
        return Path(os.environ["KEYRING_FILE"])

    @property
    def _fault(self) -> str | None:
        return os.environ.get("KEYRING_FAULT")

    def get_password(self, service: str, username: str) -> str | None:
        """Return an entry."""
        found: str | None = self._entries().get(f"{service}|{username}")
        return found

    def set_password(self, service: str, username: str, password: str) -> None:
        """Put an entry there."""
        if self._fault == "locked":
            raise KeyringLocked(f"locked: {password}")
        if self._fault == "crashes":
            raise RuntimeError(f"crashed: {password}")
        if self._fault != "forgets":
            self._file.write_text(json.dumps({**self._entries(), f"{service}|{username}": password}))

    def delete_password(self, service: str, username: str) -> None:
        """Take an entry out."""
        entries = self._entries()
        del entries[f"{service}|{username}"]
        self._file.write_text(json.dumps(entries))

    def _entries(self) -> dict[str, str]:
        entries: dict[str, str] = json.loads(self._file.read_text()) if self._file.exists() else {}
        return entries
