"""A key that a program prints: run without a shell, bounded, ended with all its own, and told nothing of ours."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from sidecar.credentials.command import GRACE_S
from sidecar.credentials.key_command import CommandKey
from sidecar.credentials.keys import MOST_KEY_BYTES
from sidecar.errors import KeyUnavailable
from tests.fakes import until

PLAIN = {"PATH": os.environ["PATH"]}
# What a program could say that must not get anywhere.
CANARY = "gct_canary_of_a_command"


def shell(script: str, *arguments: str, timeout_s: float = 20.0, environ: Mapping[str, str] = PLAIN) -> CommandKey:
    """Return a source that asks a shell script."""
    return CommandKey(["/bin/sh", "-c", script, "sh", *arguments], timeout_s=timeout_s, environ=environ)


async def printed(source: CommandKey) -> str:
    """Return the key that it prints."""
    return (await source.read()).reveal().decode()


async def refusal(source: CommandKey) -> str:
    """Ask for a key that does not come, and return what is said of that."""
    with pytest.raises(KeyUnavailable) as refused:
        await source.read()
    return str(refused.value)


def descriptors() -> int:
    """Return how many descriptors are open."""
    return len(os.listdir("/proc/self/fd"))


def is_running(pid: int) -> bool:
    """Whether there is such a process, other than one that has ended and waits to be asked how."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_what_it_prints_is_the_key() -> None:
    """Cleaned like a file: a byte order mark and one line end are no part of it."""
    assert await printed(shell(r"printf '\357\273\277gct_key\r\n'")) == "gct_key"


async def test_its_arguments_are_as_they_are() -> None:
    """No shell looks at them."""
    arguments = ["$HOME", "*", "a;b", '"', "`id`"]
    source = CommandKey([sys.executable, "-c", "import sys; print('|'.join(sys.argv[1:]))", *arguments], environ=PLAIN)
    assert await printed(source) == "|".join(arguments)


async def test_it_can_ask_nobody() -> None:
    """It reads nothing, and has no terminal, as it has a session of its own."""
    assert await printed(shell("cat; test $(ps -o sid= -p $$) = $$ && echo alone")) == "alone"
    assert (await refusal(shell("read line && echo $line || exit 7"))).startswith("command sh ended with exit code 7")


async def test_it_inherits_the_environment_without_our_keys() -> None:
    """Neither their values nor their names."""
    environ = {**PLAIN, "SIDECAR_API_KEY": CANARY, "VENDOR_KEY": CANARY, "OP_ACCOUNT": "mine"}
    names = "import os; print('|'.join(sorted(set(os.environ) & {'SIDECAR_API_KEY', 'VENDOR_KEY', 'OP_ACCOUNT'})))"
    source = CommandKey(
        [sys.executable, "-c", names], environ=environ, withheld=frozenset({"SIDECAR_API_KEY", "VENDOR_KEY"})
    )
    assert await printed(source) == "OP_ACCOUNT"


async def test_it_inherits_no_descriptor(tmp_path: Path) -> None:
    """Not even one that could be inherited."""
    with (tmp_path / "open").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        source = CommandKey(
            [sys.executable, "-c", "import os; print(*sorted(os.listdir('/proc/self/fd')), sep='|')"], environ=PLAIN
        )
        # The fourth is that of the listing itself.
        assert await printed(source) == "0|1|2|3"


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("exit 3", "ended with exit code 3"),
        (f"echo {CANARY} >&2; exit 1", "ended with exit code 1; run it by hand to see what it complains about"),
        (f"echo {CANARY}; exit 1", "ended with exit code 1"),
        ("kill -KILL $$", "was ended by SIGKILL"),
        ("kill -40 $$", "was ended by signal 40"),
        (f"yes {CANARY}", f"printed more than {MOST_KEY_BYTES} bytes"),
        (f"trap '' TERM INT; yes {CANARY}", f"printed more than {MOST_KEY_BYTES} bytes"),
    ],
)
async def test_one_that_fails(script: str, said: str) -> None:
    """What it printed meanwhile is no key, and is not repeated."""
    assert await refusal(shell(script)) == f"command sh {said}"


@pytest.mark.parametrize("script", [":", "echo", f"echo {CANARY} a", f"echo {CANARY}; echo", r"printf 'canary\000'"])
async def test_one_that_prints_no_key(script: str) -> None:
    """The same rules as for a file."""
    text = await refusal(shell(script))
    assert text.startswith("what command sh printed ")
    assert CANARY not in text


async def test_one_that_complains_and_still_prints_a_key() -> None:
    """A warning on standard error is no failure, however long."""
    assert await printed(shell("head -c 1000000 /dev/zero >&2; echo gct_key")) == "gct_key"


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["/nonexistent/tool"], "command tool cannot be run: No such file or directory"),
        (["/etc/passwd"], "command passwd cannot be run: Permission denied"),
        (["/bin/sh", "a\0b"], "command sh cannot be run: not a program"),
    ],
)
async def test_one_that_cannot_be_run(argv: list[str], said: str) -> None:
    """The system's reason, by the name alone: an argument may be a secret."""
    before = descriptors()
    for _ in range(20):
        assert await refusal(CommandKey(argv, environ=PLAIN)) == said
    assert descriptors() <= before + 2


@pytest.mark.parametrize("left", [1, 3, 4, 6])
async def test_few_descriptors_left(left: int) -> None:
    """It cannot be run then, which is an answer, and none is lost for it; later it can."""
    await printed(shell("echo gct_key"))  # the loop's own
    before = descriptors()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 10, hard))
    taken: list[int] = []
    try:
        with suppress(OSError):
            while True:
                taken.append(os.open("/dev/null", os.O_RDONLY))
        for _ in range(left):
            os.close(taken.pop())
        text = await refusal(shell("echo gct_key"))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for number in taken:
            os.close(number)
    assert text == "command sh cannot be run: Too many open files"
    assert descriptors() <= before
    assert await printed(shell("echo gct_key")) == "gct_key"


async def test_no_thread_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does it take descriptors with it."""
    before = descriptors()

    def fails(_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fails)
    for _ in range(5):
        assert await refusal(shell("echo gct_key")) == "command sh cannot be run: no thread to run it in"
    assert descriptors() <= before


async def test_the_longest_key_that_one_prints() -> None:
    """As long as in a file."""
    assert len(await printed(shell(f"head -c {MOST_KEY_BYTES} /dev/zero | tr '\\0' a; echo"))) == MOST_KEY_BYTES


@pytest.mark.parametrize("trap", ["", "trap '' TERM;"])
async def test_at_its_time_out_it_is_ended_with_all_its_own(tmp_path: Path, trap: str) -> None:
    """Asked first, and killed where it does not listen; none of its processes is left."""
    pids = tmp_path / "pids"
    source = shell(f'{trap} sleep 300 & echo $! > "$1"; echo $$ >> "$1"; wait', str(pids), timeout_s=0.3)
    began = time.monotonic()
    assert await refusal(source) == "command sh did not end within 0.3 s"
    assert time.monotonic() - began >= 0.3 + (GRACE_S if trap else 0.0)
    for pid in pids.read_text().split():
        await until(lambda pid=pid: not is_running(int(pid)))  # type: ignore[misc]  # of this turn


async def test_it_may_clear_up_at_its_time_out(tmp_path: Path) -> None:
    """It is asked to end before it is killed."""
    file = tmp_path / "cleared"
    source = shell(
        'trap \'echo up > "$1"; exit 1\' TERM; echo $$ > "$1.pid"; sleep 300 & wait', str(file), timeout_s=0.5
    )
    await refusal(source)
    assert file.read_text() == "up\n"


@pytest.mark.parametrize("after_s", [0.0, 0.001, 0.3])
async def test_whoever_asked_may_leave(tmp_path: Path, after_s: float) -> None:
    """At a stop of ours: it is ended by then, whenever that is."""
    pid_file, before, others = tmp_path / "pid", descriptors(), set(children())  # servers of other tests
    asking = asyncio.create_task(shell('echo $$ > "$1"; exec sleep 300', str(pid_file)).read())
    await asyncio.sleep(after_s)
    asking.cancel()
    await asyncio.wait([asking])
    assert asking.cancelled()
    assert descriptors() <= before + 2
    if after_s > 0.1:
        assert not is_running(int(pid_file.read_text()))
    await until(lambda: others.issuperset(children()))


def children() -> list[int]:
    """Return the processes that this one has started and that still run."""
    listed = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return [int(pid) for pid in listed if is_running(int(pid))]


async def test_what_it_leaves_behind_is_not_waited_for(tmp_path: Path) -> None:
    """A daemon of a password manager has its own life, even where it kept the pipe; its later words are none."""
    pid_file = tmp_path / "pid"
    key = await printed(shell('{ sleep 300; echo late; } & echo $! > "$1"; echo gct_key', str(pid_file)))
    assert key == "gct_key"
    pid = int(pid_file.read_text())
    assert is_running(pid)
    os.killpg(os.getpgid(pid), signal.SIGKILL)


async def test_the_loop_goes_on_meanwhile() -> None:
    """Nothing waits for it but who wants the key."""
    asking = asyncio.create_task(printed(shell("sleep 0.3; echo gct_key")))
    turns = 0
    while not asking.done():
        await asyncio.sleep(0.01)
        turns += 1
    assert asking.result() == "gct_key"
    assert turns >= 10


def test_what_a_command_says_of_itself() -> None:
    """Its name, without what stands before and after it."""
    source = CommandKey(["/usr/bin/op", "read", CANARY], environ={})
    assert (source.kind, source.description, source.watched) == ("command", "command op", False)
    assert CommandKey(["/usr/bin/op"], ttl_s=60, environ={}).watched
