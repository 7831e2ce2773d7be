"""The log: one record a line, nothing that steers a terminal, no protected secret, bounded, and never in the way."""

from __future__ import annotations

import base64
import io
import json
import logging
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar import log
from sidecar.secret import Secret

CANARY = "gct_canary+/=0123456789"
HOSTILE = "a\r\nb\x1b[2Jc\u2028d\x85e\u202ef"


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Put back what `configure` changes."""
    root, own = logging.getLogger(), logging.getLogger("sidecar")
    kept = (list(root.handlers), root.level, own.level, logging.raiseExceptions)
    yield
    root.handlers[:], level, own_level, logging.raiseExceptions = kept
    root.setLevel(level)
    own.setLevel(own_level)


def logged(format: log.Format, emit: str = "", **extra: object) -> str:
    """Log one warning and return what was written."""
    stream = io.StringIO()
    log.configure("info", format, stream)
    logging.getLogger("sidecar.test").warning("%s", emit, extra=extra)
    return stream.getvalue()


@given(text=st.text(), field=st.text())
def test_json_is_one_valid_line_of_ascii(text: str, field: str) -> None:
    """Whatever a peer sent."""
    written = logged("json", text, field=field)
    assert written.endswith("\n")
    assert written[:-1].isascii() and written[:-1].isprintable()
    assert json.loads(written)["level"] == "warning"


@given(text=st.text(), field=st.text())
def test_console_is_one_printable_line(text: str, field: str) -> None:
    """No character of it ends the line or moves the cursor."""
    written = logged("console", text, field=field)
    assert written.endswith("\n")
    assert written[:-1].isprintable()


def test_hostile_characters_are_shown_as_escapes() -> None:
    """CR, LF, ESC, U+2028, C1 and bidi controls, in both formats."""
    assert r"a\r\nb\x1b[2Jc\u2028d\x85e\u202ef" in logged("console", HOSTILE)
    written = logged("json", HOSTILE)
    assert r"a\r\nb\u001b[2Jc\u2028d\u0085e\u202ef" in written
    assert json.loads(written)["message"] == HOSTILE


def test_json_fields() -> None:
    """Time in UTC, level, logger, message, and what was given as extra; an extra cannot replace those."""
    entry = json.loads(logged("json", "hello", status=502, route="crm", level="faked", ratio=float("nan")))
    assert entry["time"].endswith("Z")
    assert (entry["level"], entry["logger"], entry["message"]) == ("warning", "sidecar.test", "hello")
    assert (entry["status"], entry["route"], entry["ratio"]) == (502, "crm", "nan")


@pytest.mark.parametrize("format", ["console", "json"])
def test_a_traceback_shows_no_locals_and_starts_no_line_of_its_own(format: log.Format) -> None:
    """Its lines are indented, so that an error's text cannot pass for a record."""
    stream = io.StringIO()
    log.configure("info", format, stream)
    hidden = "a-local-" + "value"
    try:
        raise ValueError("first\n12:00:00 info faked" + "\x1b[2J")
    except ValueError:
        logging.getLogger("sidecar").exception("it broke")
    written = stream.getvalue()
    assert "ValueError" in written
    assert hidden not in written
    assert "\x1b" not in written
    first, *rest = written.splitlines()
    assert "it broke" in first
    assert all(line.startswith("    ") for line in rest)
    assert (rest == []) is (format == "json")


@pytest.mark.parametrize("format", ["console", "json"])
@pytest.mark.parametrize(
    "spelling",
    [
        CANARY,
        quote(CANARY, safe=""),
        *(base64.b64encode(b"user:"[:n] + CANARY.encode() + b"-tail").decode() for n in range(3, 6)),
        base64.urlsafe_b64encode(b"u:" + CANARY.encode()).decode(),
    ],
)
def test_a_protected_secret_is_masked(spelling: str, format: log.Format) -> None:
    """In message, argument, extra and traceback; raw, URL-encoded and inside base64."""
    log.protect(Secret(CANARY))
    stream = io.StringIO()
    log.configure("info", format, stream)
    logger = logging.getLogger("sidecar.test")
    logger.warning(f"in the message {spelling}")
    logger.warning("as an argument %s", [spelling], extra={"field": spelling})
    try:
        raise ValueError(spelling)
    except ValueError:
        logger.exception("in an error")
    written = stream.getvalue()
    assert written.count("***") == 4
    core = base64.b64encode(CANARY.encode())[8:-8].decode()
    assert CANARY not in written and spelling not in written and core not in written


def test_only_so_many_secrets_are_remembered() -> None:
    """The newest 64; short ones never, as they would mask ordinary words."""
    redaction = log.Redaction()
    for number in range(100):
        redaction.protect(Secret(f"secret-number-{number:03d}"))
    redaction.protect(Secret("token"))
    assert redaction.mask("secret-number-099 secret-number-036") == "*** ***"
    assert redaction.mask("secret-number-035 token") == "secret-number-035 token"


def test_secrets_that_last_are_not_displaced_by_those_that_pass() -> None:
    """A key is in use for longer than a thousand of its tokens; too many keys displace each other."""
    redaction = log.Redaction()
    redaction.protect(Secret("the-lasting-key"), lasts=True)
    for number in range(1000):
        redaction.protect(Secret(f"passing-token-{number:03d}"))
    assert redaction.mask("the-lasting-key passing-token-999 passing-token-900") == "*** *** passing-token-900"
    for number in range(64):
        redaction.protect(Secret(f"another-key-{number:02d}"), lasts=True)
    assert redaction.mask("the-lasting-key another-key-00 another-key-63") == "the-lasting-key *** ***"


def test_a_storm_of_one_message_is_bounded() -> None:
    """20 a minute, whatever their arguments; the first one after it tells how many were left out."""
    now = [0.0]
    limit = log.RateLimited(20, clock=lambda: now[0])

    def record(text: str = "refused %s", name: str = "sidecar") -> logging.LogRecord:
        return logging.LogRecord(name, logging.WARNING, "", 0, text, (object(),), None)

    assert sum(limit.filter(record()) for _ in range(1000)) == 20
    assert limit.filter(record("another %s"))
    for name in (log.ACCESS_LOGGER, log.INSPECT_LOGGER):
        assert all(limit.filter(record(name=name)) for _ in range(1000))
    now[0] = 61.0
    after = record()
    assert limit.filter(after)
    assert vars(after)["left_out"] == 980
    quiet = record("another %s")
    assert limit.filter(quiet)
    assert "left_out" not in vars(quiet)


def test_what_became_of_each_reload_is_told() -> None:
    """Somebody has asked for it, and no app can."""
    limit = log.RateLimited(most=2)
    records = [logging.LogRecord(log.RELOAD_LOGGER, logging.ERROR, "", 0, "not taken", (), None) for _ in range(9)]
    assert all(limit.filter(record) for record in records)


def test_a_storm_of_others_messages_is_bounded() -> None:
    """Each text is another, as asyncio's are, which hold addresses; ours do not, so they are told apart."""
    limit = log.RateLimited(20, clock=lambda: 0.0)
    texts = [f"Exception in callback <function at 0x{number:x}>" for number in range(1000)]
    records = [logging.LogRecord("asyncio", logging.ERROR, "", 0, text, (), None) for text in texts]
    assert sum(limit.filter(record) for record in records) == 20
    assert limit.filter(logging.LogRecord("asyncio", logging.WARNING, "", 0, "slow", (), None))
    assert limit.filter(logging.LogRecord("sidecar.path", logging.ERROR, "", 0, texts[0], (), None))


def test_the_memory_of_messages_is_bounded() -> None:
    """A message that is different each time is forgotten again."""
    limit = log.RateLimited(1, clock=lambda: 0.0)
    for number in range(5000):
        limit.filter(logging.LogRecord("sidecar", logging.INFO, "", 0, f"message {number}", (), None))
    assert len(limit._counts) <= 500


@pytest.mark.parametrize("format", ["console", "json"])
def test_a_line_fits_a_pipe(format: log.Format, tmp_path: Path) -> None:
    """At most 4096 bytes even where every character takes six, and JSON stays valid."""
    with open(tmp_path / "log", "w") as stream:
        log.configure("info", format, stream)
        fields = {f"field{number}": "\x01" * 1000 for number in range(10)}
        for text in ("\x01" * 10_000, "\U0001f600" * 10_000):
            logging.getLogger("sidecar").warning("%s", text, extra=fields)
    for line in (tmp_path / "log").read_bytes().splitlines(keepends=True):
        assert len(line) <= 4096
        assert format == "console" or json.loads(line)["level"] == "warning"


def test_levels() -> None:
    """The level is ours; libraries are heard from warnings on. Configuring twice writes once."""
    stream = io.StringIO()
    log.configure("debug", "json", io.StringIO())
    log.configure("debug", "json", stream)
    logging.getLogger("sidecar.x").debug("ours")
    logging.getLogger("library").info("theirs, small")
    logging.getLogger("library").warning("theirs, grave")
    assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()] == ["ours", "theirs, grave"]


def test_auto_is_console_on_a_terminal_and_json_elsewhere() -> None:
    """With colour on the terminal, unless NO_COLOR is set."""
    script = "import logging; from sidecar import log; log.configure(); logging.getLogger('sidecar').info('hello')"
    piped = subprocess.run([sys.executable, "-c", script], stderr=subprocess.PIPE, check=True)
    assert json.loads(piped.stderr)["message"] == "hello"
    for environ, colour in (({}, True), ({"NO_COLOR": "1"}, False)):
        ours, theirs = pty.openpty()
        kept = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
        subprocess.run([sys.executable, "-c", script], stderr=theirs, check=True, env={**kept, **environ})
        shown = os.read(ours, 1000).decode()
        os.close(ours)
        os.close(theirs)
        assert shown.rstrip().endswith("hello")
        assert ("\x1b[32m" in shown) is colour


_STUBBORN = """
import logging, sys
from sidecar import log
{before}
log.configure()
for number in range(2000):
    logging.getLogger("sidecar").warning("line " + str(number))
print("went on", flush=True)
"""


@pytest.mark.parametrize(
    "before",
    ["", "sys.stderr.close()", "import os; os.close(2)", "sys.stderr = None", "sys.stderr = open('/dev/full', 'w')"],
)
def test_a_broken_standard_error_hurts_nobody(before: str) -> None:
    """Closed in several ways, gone at the other end, or on a full disk: the program goes on and ends with 0."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-c", _STUBBORN.format(before=before)], stdout=subprocess.PIPE, stderr=writer, timeout=20
    )
    os.close(writer)
    assert (done.returncode, done.stdout) == (0, b"went on\n")


def test_a_reader_that_stalls_holds_nobody_up() -> None:
    """A full pipe loses lines instead of blocking; once it moves again, the next line tells how many."""
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as stream, os.fdopen(reader, "rb") as read:
        log.configure("info", "json", stream)
        for number in range(2000):
            logging.getLogger("sidecar").warning(f"line {number}", extra={"filler": "x" * 190})
        before = read.read1(8_000).splitlines()[0]
        logging.getLogger("sidecar").warning("after")
        stream.close()
        after = json.loads(read.read().splitlines()[-1])
    assert json.loads(before)["message"] == "line 0"
    assert after["message"] == "after"
    assert after["lost"] > 1000


def test_a_write_past_the_file_size_limit_is_lost_quietly(tmp_path: Path) -> None:
    """As on a disk that fills up while it runs."""
    script = _STUBBORN.format(before="import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))")
    with open(tmp_path / "log", "w") as stream:
        done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=stream, timeout=20)
    assert (done.returncode, done.stdout) == (0, b"went on\n")
