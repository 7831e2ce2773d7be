"""The same streams for the sidecar, for h11, for both of aiohttp's parsers and for a plain reading of the RFCs.

`SIDECAR_STREAMS=100000` sets how many streams there are of each kind. A failure names the seed that brings it back.
"""

from __future__ import annotations

import os
import random

import pytest

from tests.fuzz.agreement import check_requests, check_response
from tests.fuzz.in_memory import Runner, log_lines, running
from tests.fuzz.streams import CANARY, damaged, requests, response, segments

STREAMS = int(os.environ.get("SIDECAR_STREAMS", "1500"))
# Each is some hundred streams: a world of its own, and a line in the report that says how far it came.
_PARTS = 3
# Every so often, a stream is left as it is: then all of it must be served.
_HONEST = 0.2

_limit = pytest.mark.timeout(60 + STREAMS * 0.02)


@_limit
@pytest.mark.parametrize("part", range(_PARTS))
def test_everybody_sees_the_same_requests(part: int) -> None:
    """One in is one out at most, with the method, target and body that was meant, for whoever reads it upstream."""
    passed = 0
    with log_lines() as lines, running() as runner:
        for seed in range(part, STREAMS, _PARTS):
            passed += _requests(runner, seed)
    assert passed > STREAMS / _PARTS / 3, "most of it was refused: the streams attack nothing any more"
    assert not any(CANARY.decode() in line for line in lines)


def _requests(runner: Runner, seed: int) -> int:
    rng = random.Random(seed)
    honest = rng.random() < _HONEST
    stream = requests(rng) if honest else damaged(rng, requests(rng))
    pieces = segments(rng, stream)
    in_one_turn, slow = rng.random() < 0.3, rng.random() < 0.2
    try:
        return check_requests(runner, pieces, in_one_turn=in_one_turn, slow=slow, honest=honest)
    except BaseException as error:
        error.add_note(f"seed {seed}: {in_one_turn} {slow} {pieces}")
        raise


@_limit
@pytest.mark.parametrize("part", range(_PARTS))
def test_the_app_sees_the_response_that_the_upstream_sent(part: int) -> None:
    """Or an answer of ours, or a cut: never one that was cut short, or made longer, and looks whole."""
    passed = 0
    with log_lines() as lines, running() as runner:
        for seed in range(part, STREAMS, _PARTS):
            passed += _response(runner, seed)
    assert passed > STREAMS / _PARTS / 5, "most of it was refused: the streams attack nothing any more"
    assert not any(CANARY.decode() in line for line in lines)


def _response(runner: Runner, seed: int) -> bool:
    rng = random.Random(seed)
    honest = rng.random() < _HONEST
    method = rng.choice((b"GET", b"GET", b"POST", b"HEAD"))
    stream = response(rng, method) if honest else damaged(rng, response(rng, method))
    pieces = segments(rng, stream)
    end, http_10, slow = rng.choice(("close", "close", "stay", "reset")), rng.random() < 0.2, rng.random() < 0.2
    try:
        return check_response(runner, method, pieces, end=end, http_10=http_10, slow=slow, honest=honest)
    except BaseException as error:
        error.add_note(f"seed {seed}: {method!r} {end} {http_10} {slow} {pieces}")
        raise
