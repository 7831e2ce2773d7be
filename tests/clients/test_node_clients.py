"""Node's fetch, and its http module."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from tests.clients.asks import ASKS, Ask, Got, assert_same, lasting
from tests.clients.mirror import TICKS
from tests.clients.stand import Stand
from tests.servers import programs

APPS_OWN = ("Authorization", "Bearer of-the-app")
SCRIPT = Path(__file__).parent / "node_clients.mjs"


def node(job: str, **settings: Any) -> Any:
    """Run a job of the script; return what it printed."""
    command: list[str | Path] = [programs.node(), SCRIPT, json.dumps({"job": job, **settings})]
    done = subprocess.run(command, capture_output=True, timeout=20, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def asked(client: str, asks: Sequence[Ask], url: Callable[[Ask], str]) -> list[Got]:
    """Make all asks by one of the two clients."""
    given = [{**asdict(ask), "url": url(ask), "fields": [*ask.fields, APPS_OWN]} for ask in asks]
    return [
        Got(status, reason, lasting(fields), size, sha256)
        for status, reason, fields, size, sha256 in node("asks", client=client, asks=given)
    ]


@pytest.mark.parametrize("client", ["fetch", "http"])
def test_it_gets_through_the_sidecar_what_it_gets_directly(at: Stand, client: str) -> None:
    """Status, fields in order, and content, of everything that apps ask for; upstream came our token alone."""
    direct = asked(client, ASKS, at.direct)
    at.nginx.seen(at_least=sum(not ask.path.startswith("/mirror/") for ask in ASKS))
    at.nginx.forget()
    at.mirror.forget()
    assert_same(ASKS, direct, asked(client, ASKS, at.through))
    at.assert_ours_alone()


def test_events_arrive_one_by_one(at: Stand) -> None:
    """Each before the next is sent, from the body of a fetch."""
    assert node("ticks", url=at.url, mirror=at.mirror.url) == [f"data: tick {count}" for count in range(TICKS)]


def test_an_upload_goes_out_piece_by_piece(at: Stand) -> None:
    """A fetch whose body is a stream: each piece arrives before the next is made."""
    seen = node("upload", url=at.url, mirror=at.mirror.url)
    assert seen["size"] == len(b"piece 0piece 1piece 2")
    assert ["Transfer-Encoding", "chunked"] in [[name.title(), value] for name, value in seen["fields"]]


def test_a_fetch_that_is_aborted_ends_upstream(at: Stand) -> None:
    """The upstream, which waits before it goes on, sees the end of the connection."""
    assert node("leave", url=at.url) == "data: tick 0"
    assert at.mirror.left.wait(2)
