"""What only asks a running sidecar, through its admin listener: `healthcheck`, `wait` and `status`.

Not the sidecar itself: nothing of it is imported here, and of the standard library
only what starts fast, because a probe runs this every few seconds in every pod
(`http.client` or `dataclasses` alone would double its cost). The rule: what another
program answered is shown only after control characters were made visible, and
nothing is called a sidecar that does not say it is one.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable

TYPE_CHECKING = False  # typing itself takes 10 ms to import
if TYPE_CHECKING:
    from typing import Any

    Told = dict[str, Any]

DEFAULT_ADMIN = "127.0.0.1:8081"
_TIMEOUT_S = 2.0
_ANSWER_MOST_BYTES = 4 * 1024 * 1024
_PAUSE_FIRST_S = 0.05
_PAUSE_MOST_S = 0.5


class Unanswered(Exception):
    """Nothing there answered, or not as a sidecar does; the text is a sentence that says what to do."""


class Admin:
    """Where an admin listener is: `path` for a unix socket, else `host` and `port`."""

    __slots__ = ("host", "path", "port")

    def __init__(self, host: str = "", port: int = 0, path: str = "") -> None:
        self.host = host
        self.port = port
        self.path = path

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Answer:
    """What came back: a status and a body."""

    __slots__ = ("body", "status")

    def __init__(self, status: int, body: bytes) -> None:
        self.status = status
        self.body = body


def locate(address: str | None) -> Admin:
    """Return where to ask.

    Args:
        address: `host:port`, `:port`, a port, `unix:/path` or `http://host:port`; None: the
            environment's `SIDECAR_ADMIN_URL` or `SIDECAR_ADMIN_LISTEN`, else 127.0.0.1:8081. An address that means
            all of this machine's (0.0.0.0, [::]) is asked on loopback.

    Raises:
        ValueError: it is none of these; the text says so.
    """
    named = os.environ.get("SIDECAR_ADMIN_URL") or os.environ.get("SIDECAR_ADMIN_LISTEN")
    given = address or named or DEFAULT_ADMIN
    if given.startswith("unix:") and len(given) > len("unix:"):
        return Admin(path=given[len("unix:") :])
    host, _, port = given.removeprefix("http://").removesuffix("/").rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536) or (":" in bare and bare == host):
        raise ValueError(f"{printable(given)} is not an address; write host:port, unix:/path or http://host:port")
    return Admin({"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(bare, bare), int(port))  # noqa: S104


def ask(admin: Admin, path: str, timeout_s: float = _TIMEOUT_S) -> Answer:
    """Make one GET request.

    Args:
        admin: whom to ask.
        path: what for.
        timeout_s: for all of it.

    Raises:
        Unanswered: no answer of a sidecar came in time.
    """
    host = "localhost" if admin.path else str(admin)
    request = f"GET {path} HTTP/1.0\r\nHost: {host}\r\nAccept: application/json\r\n\r\n".encode("ascii", "replace")
    try:
        received = _exchange_bytes(admin, request, timeout_s)
    except TimeoutError:
        raise Unanswered(f"{admin} did not answer within {timeout_s:g} s; look at the sidecar's log.") from None
    except (ConnectionRefusedError, FileNotFoundError):
        hint = "start one with `sidecar run`, or name its admin listener with --admin"
        raise Unanswered(f"No sidecar listens on {admin}; {hint}.") from None
    except OSError as error:
        raise Unanswered(f"{admin} cannot be reached: {error.strerror or error}.") from None
    return _parse(admin, received)


def healthcheck(admin: Admin, *, ready: bool = False, say: Callable[[str], None] = print) -> int:
    """Say in one line whether it is alive, or ready.

    Returns:
        Exit code: 0 if so, else 1.
    """
    try:
        answer = ask(admin, "/readyz" if ready else "/livez")
        if answer.status == 200:
            say("ready" if ready else "alive")
            return 0
        say("not ready: " + " ".join(reasons(answer)) if ready else f"not alive: status {answer.status}")
    except Unanswered as problem:
        say(str(problem))
    return 1


def wait(
    admin: Admin,
    most_s: float,
    *,
    say: Callable[[str], None] = print,
    progress: Callable[[str], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Wait until it is ready.

    Args:
        admin: whom to ask.
        most_s: how long at most.
        say: takes the result.
        progress: takes what it waits for, again and again; "" at the end. None on anything but a terminal.
        clock: monotonic seconds.
        sleep: waits for seconds.

    Returns:
        Exit code: 0 once it is ready, 1 if it was not in time.
    """
    try:
        missing, waited = _until_ready(admin, most_s, progress, clock, sleep)
    finally:
        if progress:  # also where somebody has waited long enough
            progress("")
    if not missing:
        say(f"ready after {waited:.1f} s")
        return 0
    say(f"Not ready after {duration(most_s)}:")
    for reason in missing:
        say(f"  {reason}")
    return 1


def told(admin: Admin) -> tuple[Told, str]:
    """Return what `/status` tells, or beyond loopback, where only health is served, what `/readyz?verbose` does.

    Returns:
        What it says, and its JSON as it came.

    Raises:
        Unanswered: no answer of a sidecar came in time.
    """
    answer = ask(admin, "/status")
    if answer.status == 404:
        answer = ask(admin, "/readyz?verbose")
    return _told(admin, answer), answer.body.decode("utf-8", "replace").rstrip()


def reasons(answer: Answer) -> list[str]:
    """Return why it is not ready, each with its remedy, from what `/readyz` answered."""
    import json

    try:
        found = json.loads(answer.body)["reasons"]
        return [_reason(reason) for reason in found] or [f"It answered with status {answer.status}."]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return [f"It answered with status {answer.status}."]


def duration(seconds: float) -> str:
    """Return a length of time in words, to two units."""
    whole = int(seconds)
    if 0 < seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if whole < 60:
        return f"{whole} s"
    units = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    start = next(index for index, (_, size) in enumerate(units) if whole >= size)
    first, second = units[start : start + 2]
    rest = whole % first[1] // second[1]
    return f"{whole // first[1]} {first[0]}" + (f" {rest} {second[0]}" if rest else "")


def printable(text: str) -> str:
    """Return the text with every character that could steer a terminal shown as an escape."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def _exchange_bytes(admin: Admin, request: bytes, timeout_s: float) -> bytes:
    """Send, and read to the end, within the time for all of it."""
    deadline = time.monotonic() + timeout_s
    received = bytearray()
    with _connect(admin, timeout_s) as connection:
        connection.sendall(request)
        while len(received) < _ANSWER_MOST_BYTES:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            connection.settimeout(left)
            data = connection.recv(65536)
            if not data:
                break
            received += data
    return bytes(received)


def _connect(admin: Admin, timeout_s: float) -> socket.socket:
    if not admin.path:
        return socket.create_connection((admin.host, admin.port), timeout_s)
    if not hasattr(socket, "AF_UNIX"):
        raise OSError("this system has no unix sockets")
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout_s)
        connection.connect(admin.path)
    except OSError:
        connection.close()
        raise
    return connection


def _parse(admin: Admin, received: bytes) -> Answer:
    head, end, body = received.partition(b"\r\n\r\n")
    start, *fields = head.split(b"\r\n")
    status = start[9:12]
    is_http = end and start.startswith(b"HTTP/1.") and status.isdigit()
    if not is_http or b"server: sidecar" not in [field.strip().lower() for field in fields]:
        raise Unanswered(f"What listens on {admin} is not a sidecar's admin listener; name the right one with --admin.")
    return Answer(int(status), body)


def _until_ready(
    admin: Admin,
    most_s: float,
    progress: Callable[[str], None] | None,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> tuple[list[str], float]:
    """Return what keeps it from being ready after that time, nothing once it is, and the seconds that it took."""
    began, pause = clock(), _PAUSE_FIRST_S
    while True:
        left = most_s - (clock() - began)
        missing = _missing(admin, max(0.1, min(_TIMEOUT_S, left)))
        waited = clock() - began
        if not missing or waited >= most_s:
            return missing, waited
        if progress:
            progress(f"waiting for {duration(int(waited))}: {missing[0]}")
        sleep(min(pause, most_s - waited))
        pause = min(pause * 1.5, _PAUSE_MOST_S)


def _missing(admin: Admin, timeout_s: float) -> list[str]:
    """Return what keeps it from being ready; nothing: it is."""
    try:
        answer = ask(admin, "/readyz", timeout_s)
    except Unanswered as problem:
        return [str(problem)]
    return [] if answer.status == 200 else reasons(answer)


def _told(admin: Admin, answer: Answer) -> Told:
    import json

    try:
        told: Told = json.loads(answer.body)
        told["credentials"]
    except (ValueError, LookupError, TypeError, RecursionError):
        raise Unanswered(f"{admin} answered with status {answer.status} and no status to show.") from None
    return told


def _reason(reason: Told) -> str:
    about = f"{reason['credential']}: " if reason.get("credential") else ""
    return printable(f"{about}{reason['reason'].rstrip('.')}. What to do: {reason['remedy']}")
