"""The soak, in short: enough requests for each of the things that befall them, a revoked token, and all the checks."""

from __future__ import annotations

from pathlib import Path

from tests.soak.plan import FATES
from tests.soak.report import report
from tests.soak.run import Options, soak


async def test_a_short_soak(tmp_path: Path) -> None:
    """Every answer is its own request's and every error explained; nothing is left, and nothing went up tokenless."""
    options = Options(requests=12_000, apps=32, most_s=25, token_life_s=1.5, revoke_s=0.9)
    result = await soak(options, tmp_path, lambda done, count: None)
    assert not result.broken, report(result)
    assert result.tokens.issued >= 2 and result.tokens.revoked >= 1
    seen = " ".join(result.ledger.outcomes)
    assert all(fate in seen for fate in FATES), report(result)
