"""What a soak has to say, for people."""

from __future__ import annotations

from tests.soak.run import Result
from tests.soak.watch import MIB


def report(result: Result) -> str:
    """Return it as lines of text."""
    ledger = result.ledger
    memory = " ".join(f"{size / MIB:.1f}" for _, size in result.samples)
    slope = "too short to tell" if result.slope is None else f"{result.slope * 1_000_000 / MIB:+.2f} MiB per 1M"
    lines = [
        f"{ledger.done:,} requests in {result.took_s:.0f} s ({ledger.done / result.took_s:,.0f}/s)",
        f"tokens: {result.tokens.issued} issued, {result.tokens.revoked} revoked",
        *(f"  {count:>10,}  {outcome}" for outcome, count in ledger.outcomes.most_common()),
        f"memory at rest: {memory} MiB; slope after warm-up {slope}",
        f"held before: {result.before}",
        f"held after:  {result.after}",
        f"unexplained: {ledger.unexplained}",
        *(f"  {text}" for text in ledger.texts),
        *(f"BROKEN: {text}" for text in result.broken),
    ]
    return "\n".join(lines)
