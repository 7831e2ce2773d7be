"""The soak, in short: enough requests for each of the things that befall them, a revoked token, and all the checks."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.soak.ledger import Ledger
from tests.soak.plan import FATES
from tests.soak.report import report
from tests.soak.run import Options, Result, judge, soak
from tests.soak.tokens import Tokens
from tests.soak.watch import MIB, Held

MOST_GROWTH_BYTES = 3 * MIB


async def test_a_short_soak(tmp_path: Path) -> None:
    """Every answer is its own request's and every error explained; nothing is left, and nothing went up tokenless."""
    options = Options(requests=12_000, apps=32, most_s=25, token_life_s=1.5, revoke_s=0.9, round_requests=6_000)
    result = await soak(options, tmp_path, lambda done, count: None)
    assert not result.broken, report(result)
    # A leak of half a KiB a request shows in this; one of a byte takes two million requests (`make soak`).
    (_, warm_bytes), (_, held_bytes) = result.samples[1:]
    assert held_bytes - warm_bytes < MOST_GROWTH_BYTES, report(result)
    assert result.tokens.issued >= 2 and result.tokens.revoked >= 1
    seen = " ".join(result.ledger.outcomes)
    assert all(fate in seen for fate in FATES), report(result)


@pytest.mark.parametrize(("bytes_a_request", "breaks"), [(0.0, False), (1.0, False), (1.2, True)])
def test_a_leak_of_a_byte_a_request(bytes_a_request: float, breaks: bool) -> None:
    """Above 1 MiB per million requests the long soak fails, whatever warming up took before."""
    ledger = Ledger(2_000_000)
    ledger.done = ledger.count
    nothing = Held(10, 0, 0, 0, 4)
    samples = [(0, 20 * MIB)]
    for done in range(100_000, 2_000_001, 100_000):
        warming = min(done, 400_000) * 10
        samples.append((done, 32 * MIB + warming + int(done * bytes_a_request)))
    tokens = Tokens(9.0, lambda: 0.0)
    result = Result(Options(ledger.count), ledger, tokens, 300.0, nothing, nothing, samples, "", [])
    judge(result)
    assert [text.partition(" by ")[0] for text in result.broken] == (["memory grows"] if breaks else [])
