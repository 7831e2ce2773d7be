"""What the sidecar writes to standard error: one record, one line, for a person or for a machine.

Not a way to keep secrets out of the log: that is the `Secret` type, which cannot
print itself. The masking here is the second line of defence, for a secret that
came back inside somebody else's error text. The rule: logging never hurts what
it reports on. A closed, full or stalled standard error loses records (they are
counted where they can be), never a request; a storm of one message costs a
bounded number of lines; nothing that a peer sent can end a line or move a cursor.
"""

from __future__ import annotations

import base64
import json
import logging
import math
import os
import select
import sys
import time
import traceback
from collections import OrderedDict
from collections.abc import Callable
from typing import Literal, TextIO
from urllib.parse import quote, quote_plus

from sidecar.secret import Secret

Format = Literal["auto", "console", "json"]

# PIPE_BUF on Linux: what a pipe that polls as writable takes at once, whole and without blocking.
_LINE_MOST_BYTES = 4096
_MESSAGE_MOST = 1500
_TRACEBACK_MOST = 1500
_FIELD_MOST = 200
_MASK = "***"
# Shorter ones would mask ordinary words.
_SECRET_LEAST_BYTES = 8
_SECRETS_MOST = 64
_KEYS_MOST = 500
# One line per request is what its user asked for.
ACCESS_LOGGER = "sidecar.access"
RELOAD_LOGGER = "sidecar.reload"
INSPECT_LOGGER = "sidecar.inspect"
_COLOURS = {"debug": "2", "info": "32", "warning": "33", "error": "31", "critical": "31;1"}
_OWN_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def configure(level: str = "info", format: Format = "auto", stream: TextIO | None = None) -> None:
    """Send the process's log to one stream; calling it again replaces what was set before.

    Args:
        level: `debug`, `info`, `warning` or `error`; libraries are heard from `warning` on.
        format: `console`, `json` (one JSON object per line), or `auto`: console on a terminal.
        stream: where to; None: standard error, or nowhere where the process has none.
    """
    logging.raiseExceptions = False
    stream = stream if stream is not None else sys.stderr
    terminal = _is_terminal(stream)
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, _Output)]:
        root.removeHandler(handler)
    output = _Output(stream)
    if format == "json" or (format == "auto" and not terminal):
        output.setFormatter(JSONLines())
    else:
        output.setFormatter(Console(colour=terminal and not os.environ.get("NO_COLOR")))
    output.addFilter(RateLimited())
    output.addFilter(_redaction)
    root.addHandler(output)
    wanted = logging.getLevelNamesMapping()[level.upper()]
    root.setLevel(max(wanted, logging.WARNING))
    logging.getLogger("sidecar").setLevel(wanted)


def protect(secret: Secret, *, lasts: bool = False) -> None:
    """Mask this secret wherever it turns up in a record: as it is, URL-encoded, or inside base64.

    The first line of defence is the `Secret` type, not this. Only 64 secrets of at least
    8 bytes are remembered, as the texts to look for; a new one displaces the oldest.

    Args:
        lasts: it is in use for longer than those without this, which are displaced first.
    """
    _redaction.protect(secret, lasts=lasts)


class Redaction(logging.Filter):
    """Masks the protected secrets in a record's message, fields and traceback. Lets every record pass."""

    def __init__(self) -> None:
        super().__init__()
        self._needles: OrderedDict[str, tuple[str, ...]] = OrderedDict()
        self._lasting: set[str] = set()

    def protect(self, secret: Secret, *, lasts: bool = False) -> None:
        """Remember a secret; the oldest one is forgotten where there are too many, of those that last the last."""
        value = secret.reveal()
        if len(value) < _SECRET_LEAST_BYTES:
            return
        known_as = secret.fingerprint()
        if known_as not in self._needles:
            self._needles[known_as] = _spellings(value)
        self._needles.move_to_end(known_as)
        if lasts:
            self._lasting.add(known_as)
        if len(self._needles) > _SECRETS_MOST:
            oldest = next((one for one in self._needles if one not in self._lasting), next(iter(self._needles)))
            del self._needles[oldest]
            self._lasting.discard(oldest)

    def mask(self, text: str) -> str:
        """Return the text with every protected secret masked."""
        for needles in self._needles.values():
            for needle in needles:
                if needle in text:
                    text = text.replace(needle, _MASK)
        return text

    def filter(self, record: logging.LogRecord) -> bool:
        """Mask the record in place, its arguments merged into its message."""
        record.msg = self.mask(record.getMessage())
        record.args = ()
        if record.exc_info and record.exc_info[0] is not None:
            record.exc_text = "".join(traceback.format_exception(*record.exc_info))
        # A formatter further on must not render the exception again, unmasked.
        record.exc_info = None
        if record.exc_text:
            record.exc_text = self.mask(record.exc_text)
        for name, value in _fields(record):
            if not _is_plain(value):
                setattr(record, name, self.mask(str(value)))
        return True


class RateLimited(logging.Filter):
    """Lets at most so many of the same message pass within a minute; the next one after it tells how many did not.

    Messages are the same if their text before its arguments is: what a peer can vary does
    not make a new message. Others' loggers put what varies into the text (asyncio the address of
    what has failed), so all that one of them says at a level is one message. What somebody has
    asked for is not limited: the access log, the inspection, and what became of a reload.

    Args:
        most: messages of one kind per minute.
        clock: monotonic seconds.
    """

    _PERIOD_S = 60.0

    def __init__(self, most: int = 20, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._most = most
        self._clock = clock
        self._counts: OrderedDict[tuple[str, int, str], tuple[float, int]] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether the record passes; note on it what was left out before."""
        if record.name in (ACCESS_LOGGER, RELOAD_LOGGER, INSPECT_LOGGER):
            return True
        ours = record.name.partition(".")[0] == "sidecar"
        key = (record.name, record.levelno, str(record.msg) if ours else "")
        now = self._clock()
        since, count = self._counts.get(key, (now, 0))
        if now - since >= self._PERIOD_S:
            if count > self._most:
                record.left_out = count - self._most
            since, count = now, 0
        self._counts[key] = (since, count + 1)
        if len(self._counts) > _KEYS_MOST:
            self._counts.popitem(last=False)
        return count < self._most


class JSONLines(logging.Formatter):
    """One JSON object per line, ASCII alone, so that no character in it can end the line or reach a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """Render a record."""
        entry: dict[str, object] = {
            "time": _timestamp(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _cut(record.getMessage(), _MESSAGE_MOST),
        }
        for name, value in _fields(record):
            entry.setdefault(name, value if _is_plain(value) else _cut(str(value), _FIELD_MOST))
        if record.exc_text:
            entry["traceback"] = record.exc_text[-_TRACEBACK_MOST:]
        line = _dump(entry)
        if len(line) < _LINE_MOST_BYTES:
            return line
        # Twelve bytes per character at worst, those beyond U+FFFF.
        kept = {name: entry[name] for name in ("time", "level")}
        return _dump(kept | {"message": _cut(record.getMessage(), _MESSAGE_MOST // 6), "shortened": True})


class Console(logging.Formatter):
    """A line that a person likes. Control characters are shown, not sent; a traceback is indented below its line.

    Args:
        colour: colour the level.
    """

    def __init__(self, *, colour: bool = False) -> None:
        super().__init__()
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        """Render a record."""
        level = record.levelname.lower()
        shown = f"\x1b[{_COLOURS.get(level, '0')}m{level:<7}\x1b[0m" if self._colour else f"{level:<7}"
        message = _cut(record.getMessage(), _MESSAGE_MOST)
        fields = "".join(f" {name}={_cut(str(value), _FIELD_MOST)}" for name, value in _fields(record))
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        line = f"{clock} {shown} {printable(message + fields)}"
        if not record.exc_text:
            return line
        below = [f"    {printable(part)}" for part in record.exc_text[-_TRACEBACK_MOST:].splitlines()]
        return "\n".join([line, *below])


class _Output(logging.Handler):
    """Writes each record with one system call, and only where that cannot block."""

    def __init__(self, stream: TextIO | None) -> None:
        super().__init__()
        self._stream = stream
        self._descriptor = _descriptor(stream)
        self._lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record, or count it as lost."""
        try:
            if self._lost:
                record.lost = self._lost
            self._write(self.format(record) + "\n")
            self._lost = 0
        except Exception:  # what is wrong with the log must not become what is wrong with a request
            self._lost += 1

    def _write(self, line: str) -> None:
        if self._descriptor is None:
            if self._stream is not None:
                self._stream.write(line)
                self._stream.flush()
            return
        # A closed stream's descriptor may be somebody's socket by now.
        if self._stream is None or self._stream.closed or not _writable(self._descriptor):
            raise BlockingIOError
        data = line.encode("utf-8", "backslashreplace")
        if len(data) > _LINE_MOST_BYTES:
            data = data[: _LINE_MOST_BYTES - 1] + b"\n"
        # Past the stream's buffer: what a full disk refused must not be tried again at exit, and fail it.
        os.write(self._descriptor, data)


def printable(text: str) -> str:
    """Return the text with every character that could end a line or steer a terminal shown as an escape."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def _spellings(value: bytes) -> tuple[str, ...]:
    """Return how a secret looks: raw, URL-encoded, and inside base64 at each of its three alignments."""
    text = value.decode("utf-8", "backslashreplace")
    found = [text, quote(value, safe=""), quote_plus(value)]
    for before in range(3):
        # The first and last characters also depend on the neighbours.
        encoded = base64.b64encode(bytes(before) + value).rstrip(b"=")
        start = (0, 2, 3)[before]
        end = len(encoded) if (before + len(value)) % 3 == 0 else len(encoded) - 1
        inner = encoded[start:end].decode()
        found += [inner, inner.replace("+", "-").replace("/", "_")]
    return tuple(dict.fromkeys(found))


def _fields(record: logging.LogRecord) -> list[tuple[str, object]]:
    """Return what was given as `extra`."""
    return [(name, value) for name, value in vars(record).items() if name not in _OWN_ATTRIBUTES]


def _is_plain(value: object) -> bool:
    """Whether JSON has a word for the value that holds no text."""
    return value is None or isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))


def _dump(entry: dict[str, object]) -> str:
    return json.dumps(entry, ensure_ascii=True, separators=(",", ":"))


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."


def _timestamp(seconds: float) -> str:
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{int(seconds % 1 * 1000):03d}Z"


def _is_terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False


def _descriptor(stream: TextIO | None) -> int | None:
    try:
        return stream.fileno() if stream is not None else None
    except (OSError, ValueError):
        return None


def _writable(descriptor: int) -> bool:
    if not hasattr(select, "poll"):  # Windows, where nothing tells of a pipe or a console whether it would block
        return True
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    ready = poll.poll(0)
    return bool(ready and ready[0][1] & select.POLLOUT)


_redaction = Redaction()
