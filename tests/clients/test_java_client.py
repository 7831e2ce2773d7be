"""Java's own HTTP client, which offers HTTP/2 by `Upgrade: h2c` unless it is told not to."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.clients.asks import ASKS, Ask, Got, assert_same, lasting
from tests.clients.mirror import TICKS
from tests.clients.stand import TOKEN, Stand, stand
from tests.clients.websocket_servers import PythonServer
from tests.servers import programs
from tests.servers.nginx import Nginx

SOURCE = Path(__file__).parent / "JavaClient.java"


# What the program was answered, by job and by where it asked.
Answers = dict[str, list[list[str]]]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, shared_nginx: Nginx) -> Iterator[Stand]:
    """A sidecar, with a WebSocket server among what is behind it."""
    with PythonServer().serving() as server:
        url = f"http://127.0.0.1:{server.port}"
        with stand(tmp_path_factory.mktemp("stand"), shared_nginx, talk=url) as whole:
            yield whole


@pytest.fixture(scope="module")
def answers(place: Stand, tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """Compile the program and have it do every job, which all takes about 2 s."""
    jobs = {
        "direct": [as_line(ask, place.direct(ask)) for ask in ASKS],
        "through": [as_line(ask, place.through(ask)) for ask in ASKS],
        "ticks": [f"ticks\t{place.url}/mirror/ticks\t{place.mirror.url}"],
        "many": [f"many\t{place.url}/number/"],
        "talk": [f"talk\t{place.url.replace('http', 'ws')}/talk/"],
    }
    (place.nginx.uploads_directory / "two").touch()  # both PUTs replace a file
    place.nginx.forget()
    rows = iter(java(tmp_path_factory.mktemp("java") / "jobs", [line for lines in jobs.values() for line in lines]))
    return {name: [next(rows) for _ in lines] for name, lines in jobs.items()}


def java(file: Path, lines: Sequence[str]) -> list[list[str]]:
    """Run the program; return the columns that it answered for each line."""
    file.write_text("".join(f"{line}\n" for line in lines))
    # One compiler is enough for a program that runs for two seconds.
    command: list[str | Path] = [programs.require("java"), "-XX:TieredStopAtLevel=1", SOURCE, file]
    done = subprocess.run(command, capture_output=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return [line.split("\t") for line in done.stdout.decode().splitlines()]


def as_line(ask: Ask, url: str) -> str:
    """Return an ask as the program takes it; whatever has a body goes with Expect."""
    size = -1 if ask.body_bytes is None else ask.body_bytes
    fields = [f"{name}: {value}" for name, value in (*ask.fields, ("Authorization", "Bearer of-the-app"))]
    columns = ["ask", url, ask.method, str(size), str(ask.chunked).lower(), str(size > 0).lower(), *fields]
    return "\t".join(columns)


def as_got(row: list[str]) -> Got:
    """Return what the program got; it does not know the reason phrase."""
    version, status, size, sha256, *fields = row
    assert version == "HTTP_1_1"
    pairs = [field.partition(": ")[::2] for field in fields]
    return Got(int(status), "", lasting(pairs), int(size), sha256)


def test_it_gets_through_the_sidecar_what_it_gets_directly(place: Stand, answers: Answers) -> None:
    """Status, fields and content of everything that apps ask for, whose every request offers HTTP/2."""
    assert_same(ASKS, map(as_got, answers["direct"]), map(as_got, answers["through"]))


def test_its_offer_of_http2_ends_at_the_sidecar(place: Stand, answers: Answers) -> None:
    """Directly the upstream is offered h2c; through the sidecar nothing, and it gets our token instead of the app's."""
    kept = place.mirror.kept_back
    offers = [(one["authorization"], one.get("upgrade"), "http2-settings" in one) for one in kept]
    assert set(offers) == {("Bearer of-the-app", "h2c", True), (TOKEN, None, False)}


def test_events_arrive_one_by_one(answers: Answers) -> None:
    """Each before the next is sent."""
    assert answers["ticks"] == [[f"data: tick {count}" for count in range(TICKS)]]


def test_many_at_once(answers: Answers) -> None:
    """Forty, each with its own answer."""
    assert answers["many"] == [[f"HTTP_1_1 GET /number/{count}" for count in range(1, 41)]]


def test_its_websocket_talks(answers: Answers) -> None:
    """The greeting, which says that our token came; a short and a long message; the close code."""
    long = hashlib.sha256(b"x" * 1_000_000).hexdigest()
    assert answers["talk"] == [["welcome, Bearer token-1", "hello", long, "closed 4001 as asked"]]
