"""`sidecar demo --once`: the whole tour holds, in the time that somebody trying it out has."""

from __future__ import annotations

import time

from tests.cli.command import python


def test_it_holds_within_20_seconds() -> None:
    """Exit 0, every step held, and nothing of its pretend key's token shown."""
    began_s = time.monotonic()
    ended = python("-m", "sidecar", "demo", "--once")
    assert ended.code == 0, ended.out + ended.err
    assert time.monotonic() - began_s < 20
    assert ended.out.rstrip().endswith("steps held.")
    assert "eyJ" not in ended.out + ended.err
