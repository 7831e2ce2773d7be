"""PocketBase: an identity and password in, a JWT without any expiry field beside it out; and an API that checks it.

A bad password is answered 400. Tokens die at once when the password changes or when they are revoked,
so that it serves as a real upstream that rejects tokens (401), too.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from tests.ports import free_port
from tests.servers import programs
from tests.servers.process import ANSWER_WITHIN_S, ServerProcess, answers

COLLECTION = "/api/collections/_superusers"


class PocketBase(ServerProcess):
    """A PocketBase of our own, with one superuser whose password is the API key.

    Args:
        directory: an empty one; its database is there.
        token_life_s: how long its tokens live, in whole seconds from 1.
    """

    identity = "sidecar@example.com"

    def __init__(self, directory: Path, token_life_s: int = 5) -> None:
        self.token_life_s = token_life_s
        self.password = "pocketbase-password-of-the-tests"
        self.port = free_port()
        self.api_url = f"http://127.0.0.1:{self.port}"
        self.exchange_path = f"{COLLECTION}/auth-with-password"
        self.exchange_url = self.api_url + self.exchange_path
        # Answers 200 to a living token and 401 to any other.
        self.protected_path = "/api/settings"
        self._program = programs.require("pocketbase")
        self._data = directory / "data"
        command: list[str | Path] = [self._program, "serve", "--dir", self._data, "--http", f"127.0.0.1:{self.port}"]
        super().__init__(command, directory, ready=lambda: answers(f"{self.api_url}/api/health"))

    def start(self) -> None:
        """Make the superuser where there is none yet, start, and return once it serves."""
        if not self._data.exists():
            self._create()
        super().start()

    def exchange(self) -> str:
        """Return a new token, exchanged as an app would."""
        status, answer = self._call("POST", self.exchange_path, {"identity": self.identity, "password": self.password})
        assert status == 200, answer
        return str(answer["token"])

    def verify(self, token: str) -> bool:
        """Return whether it accepts the token now."""
        return self._call("GET", self.protected_path, token=token)[0] == 200

    def change_password(self, password: str) -> None:
        """Give the superuser another password (8 characters at least); every older token dies at once."""
        self._update({"password": password, "passwordConfirm": password})
        self.password = password

    def revoke_tokens(self) -> None:
        """Make every token so far dead at once; the password stays."""
        self._update({"tokenKey:autogenerate": ""})

    def _update(self, changes: dict[str, str]) -> None:
        token = self.exchange()
        record = self._call("GET", f"{COLLECTION}/records", token=token)[1]["items"][0]["id"]
        status, answer = self._call("PATCH", f"{COLLECTION}/records/{record}", changes, token)
        assert status == 200, answer

    def _create(self) -> None:
        create: list[str | Path] = [
            self._program,
            "superuser",
            "create",
            self.identity,
            self.password,
            "--dir",
            self._data,
        ]
        subprocess.run(create, cwd=self.directory, check=True, capture_output=True, timeout=60)
        # Its own interface takes 10 s at least for a token's life, and the alert would be a mail.
        with contextlib.closing(sqlite3.connect(self._data / "data.db")) as database, database:
            database.execute(
                "UPDATE _collections SET options = json_set(options, '$.authToken.duration', ?, "
                "'$.authAlert.enabled', json('false')) WHERE name = '_superusers'",
                (self.token_life_s,),
            )

    def _call(self, method: str, path: str, body: object | None = None, token: str = "") -> tuple[int, Any]:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", "Authorization": token}
        request = urllib.request.Request(self.api_url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_WITHIN_S) as response:
                return response.status, json.loads(response.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())
