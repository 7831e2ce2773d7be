"""Signals and the terminal: what is meant for the command reaches it once, and a shell keeps its hold on all of it."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import sys
from pathlib import Path

import pytest

from tests.exec.executing import (
    ENVIRON,
    PATIENCE_S,
    Terminal,
    command_line,
    configured,
    done,
    long_only,
    started,
    written,
)

# Waits for each of these signals in turn, and says so. Then asks the sidecar, so that one that is on its way has come;
# tells all that have come, and ends with 5.
COUNTING = """
import os, signal, time, urllib.request
heard = []
for name in {names}:
    signal.signal(getattr(signal, name), lambda number, frame: heard.append(signal.Signals(number).name))
print("ready", flush=True)
for name in {names}:
    while name not in heard:
        time.sleep(.01)
    print("had", name, flush=True)
for _ in range(3):
    urllib.request.urlopen(os.environ["SIDECAR_ADMIN_URL"] + "/livez").read()
print("heard", *heard, flush=True)
os._exit(5)
"""


def counting(*names: str) -> list[str]:
    """Return a command that counts these signals."""
    return [sys.executable, "-c", COUNTING.format(names=names)]


async def test_what_is_sent_to_us_alone_reaches_the_command_once(tmp_path: Path) -> None:
    """As a supervisor or `kill` sends it; what the command makes of it is its own affair."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP)
    async with configured(tmp_path) as (file, _):
        with started(command_line(file, *counting(*(number.name for number in numbers)))) as process:
            assert process.stdout is not None
            assert await asyncio.to_thread(process.stdout.readline) == b"ready\n"
            for number in numbers:
                process.send_signal(number)
                assert await asyncio.to_thread(process.stdout.readline) == f"had {number.name}\n".encode()
            out, err = await asyncio.to_thread(process.communicate, timeout=PATIENCE_S)
    assert (process.returncode, out, err) == (5, b"heard SIGINT SIGTERM SIGUSR1 SIGHUP\n", b"")


@long_only  # SIDECAR_LONG
async def test_a_signal_that_the_command_does_not_take_ends_both(tmp_path: Path) -> None:
    """128 and its number."""
    async with configured(tmp_path) as (file, _):
        with started(command_line(file, "sh", "-c", "echo ready; exec sleep 60")) as process:
            assert process.stdout is not None
            await asyncio.to_thread(process.stdout.readline)
            process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(process.wait, PATIENCE_S) == 128 + signal.SIGTERM


async def test_a_key_at_the_terminal_reaches_the_command_once(tmp_path: Path) -> None:
    """Ctrl-C and Ctrl-\\, also through two of us, one in the other, each with an address; and neither ends by it."""
    async with configured(tmp_path) as (file, vendor):
        credential = {"preset": "static", "api_key": {"env": "INNER"}}
        inner = written(tmp_path, {"upstream": vendor.url, "credential": credential}, "inner.yaml")
        addresses = "print(len({os.environ[name] for name in ('GIANTCONTEXT_BASE_URL', 'SIDECAR_URL')}), 'addresses')"
        program, flag, script = counting("SIGINT", "SIGQUIT")
        script = f"import os; {addresses}; assert 'INNER' not in os.environ\n{script}"
        words = command_line(file, *command_line(inner, program, flag, script))
        with Terminal(words, {**ENVIRON, "INNER": "inner-key-of-the-tests"}) as at:
            await at.shows("2 addresses")
            await at.shows("ready")
            at.type("\x03")
            await at.shows("had SIGINT")
            at.type("\x1c")
            assert await at.ended() == 5
            assert "heard SIGINT SIGQUIT\r\n" in at.shown


async def test_a_key_is_not_passed_on(tmp_path: Path) -> None:
    """A command that has left the terminal's foreground hears nothing of Ctrl-C, as without us.

    Of one that is in it, two that come at once would look like one.
    """
    go = tmp_path / "go"
    leaving = f"import os; os.setpgid(0, 0)\n{COUNTING.format(names=('SIGINT',))}"
    leaving = leaving.replace("while name not in heard", f"while not os.path.exists({str(go)!r})")
    assert str(go) in leaving
    async with configured(tmp_path) as (file, _):
        with Terminal(command_line(file, sys.executable, "-c", leaving)) as at:
            await at.shows("ready")
            at.type("\x03")
            await at.shows("^C")
            go.touch()
            assert await at.ended() == 5
            assert "heard\r\n" in at.shown


@long_only  # SIDECAR_LONG
@pytest.mark.skipif(not hasattr(signal, "sigwaitinfo"), reason="takes away what this system has not")
async def test_where_the_kernel_does_not_say_who_sent_it(tmp_path: Path) -> None:
    """As on macOS: a key in the foreground is taken for the terminal's, SIGTERM for somebody's."""
    go = tmp_path / "go"
    leaving = f"import os; os.setpgid(0, 0)\n{COUNTING.format(names=('SIGINT', 'SIGTERM'))}"
    leaving = leaving.replace("name not in heard", f"not heard or not os.path.exists({str(go)!r})")
    less = "import signal, sys; del signal.sigwaitinfo; from sidecar.cli import main; sys.exit(main(sys.argv[1:]))"
    async with configured(tmp_path) as (file, _):
        words = command_line(file, sys.executable, "-c", leaving)
        with Terminal([sys.executable, "-c", less, *words[3:]]) as at:
            await at.shows("ready")
            at.type("\x03")
            await at.shows("^C")
            os.kill(at.pid, signal.SIGTERM)
            go.touch()
            assert await at.ended() == 5
            assert "heard SIGTERM\r\n" in at.shown


async def test_a_shell_stops_and_continues_it(tmp_path: Path) -> None:
    """Ctrl-Z gives the prompt back, `fg` goes on where it was; and the rest of a pipeline has the keyboard."""
    async with configured(tmp_path) as (file, _):
        first = shlex.join(command_line(file, sys.executable, "-c", ASKING))
        piped = shlex.join(command_line(file, "echo", "passed"))
        script = f"{first}; echo stopped $?; fg; echo ended $?; {piped} | (cat; head -n 1 </dev/tty)"
        with Terminal(["bash", "-mc", script]) as at:
            await at.shows("ready")
            at.type("\x1a")
            await at.shows(f"stopped {128 + signal.SIGTSTP}")
            await at.shows("continued")
            at.type("one\n")
            await at.shows("read one")
            await at.shows("ended 3")
            await at.shows("passed")
            at.type("from the keyboard\n")
            await at.shows("from the keyboard")  # its echo
            await at.shows("from the keyboard")
            assert await at.ended() == 0


ASKING = """
import os, signal, sys, urllib.request
signal.signal(signal.SIGCONT, lambda *_: print("continued", flush=True))
print("ready", flush=True)
line = input()
urllib.request.urlopen(os.environ["SIDECAR_ADMIN_URL"] + "/livez").read()
print("read", line, flush=True)
sys.exit(3)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="as Linux tells it")
async def test_the_command_has_the_signals_of_our_start(tmp_path: Path) -> None:
    """`nohup sidecar exec -- CMD` is as `sidecar exec -- nohup CMD`; none is blocked, and none ignored but that one.

    Its code is the command's, and on its outputs is nothing of ours.
    """
    async with configured(tmp_path) as (file, vendor):
        command = command_line(file, "sh", "-c", "grep ^Sig /proc/self/status; echo err >&2; exit 7")
        code, out, err = await done(["sh", "-c", 'trap "" HUP; exec "$@"', "sh", *command])
    assert (code, err) == (7, "err\n")
    assert [entry.on for entry in vendor.journal.entries] == ["token"]
    told = dict(line.split(":\t") for line in out.splitlines())
    assert int(told["SigBlk"], 16) == 0
    # glibc has two of its own above 31.
    assert int(told["SigIgn"], 16) & 0x7FFFFFFF == 1 << (signal.SIGHUP - 1)


@long_only  # SIDECAR_LONG
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="as Linux tells it")
async def test_a_program_that_prints_the_key_can_be_told_to_end(tmp_path: Path) -> None:
    """What we start for ourselves blocks no signal either: an agent that it leaves behind would never end."""
    seen = tmp_path / "seen"
    # Not sh, which begins with all of them unblocked.
    script = f"import shutil; shutil.copy('/proc/self/status', {str(seen)!r}); print('the-key-of-the-signal-tests')"
    program = [sys.executable, "-c", script]
    credential = {"preset": "static", "api_key": {"command": program}}
    file = written(tmp_path, {"upstream": "http://127.0.0.1:9", "credential": credential})
    assert await done(command_line(file, "true")) == (0, "", "")
    (blocked,) = (line.split()[1] for line in seen.read_text().splitlines() if line.startswith("SigBlk"))
    assert int(blocked, 16) == 0
