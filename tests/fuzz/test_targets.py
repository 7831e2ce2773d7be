"""The fuzzer's targets keep their promises for what the fuzzer starts from; `make fuzz` goes on from there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzz.in_memory import running
from tests.fuzz.other_parsers import SeenAnswer
from tests.fuzz.seeds import dictionary, seeds
from tests.fuzz.targets import TARGETS, Stand


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    """What a target stands on."""
    with running() as runner:
        yield Stand(runner, tmp_path)


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_holds_for_its_seeds(name: str, stand: Stand) -> None:
    """And for nothing at all."""
    target = TARGETS[name](stand)
    for data in (b"", b"\x00", *seeds(name)):
        target(data)
    assert dictionary(name)


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("client_stream", b"\x00GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("upstream_stream", b"\x00\x00HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        ("framing", b"\x001\r\nx\r\n0\r\n\r\n"),
        ("request_head", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    ],
)
def test_a_target_would_notice(name: str, broken: bytes, stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a parser beside it that sees something else, each of them fails."""
    target = TARGETS[name](stand)
    target(broken)
    monkeypatch.setattr("tests.fuzz.agreement.h11_requests", lambda data: [])
    monkeypatch.setattr("tests.fuzz.heads.h11_requests", lambda data: [])
    monkeypatch.setattr("tests.fuzz.targets.read_chunked", lambda data: None)
    monkeypatch.setattr("tests.fuzz.agreement.h11_answer", lambda *_, **__: SeenAnswer(status=200))
    with pytest.raises((AssertionError, ValueError)):
        target(broken)
