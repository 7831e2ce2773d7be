"""Memory growth of a warm proxy: the peak during one long body, less what it held before."""

from __future__ import annotations

import time
from collections.abc import Callable

from bench.client import Connection, answered
from bench.proxy import Proxy, started
from bench.scenarios import Bench
from bench.scenarios.bodies import check_download, check_upload
from bench.site import LARGE, LARGE_BYTES, MB, SMALL, UPLOAD

SLOW_BYTES_PER_S = 20 * MB


def measure(bench: Bench) -> None:
    """Adds `growth_download_bytes`, `growth_upload_bytes` and `growth_slow_bytes`, each of a proxy started anew."""
    transfers: dict[str, Callable[[Connection], None]] = {
        "growth_download_bytes": lambda connection: check_download(connection.get(LARGE), LARGE_BYTES),
        "growth_upload_bytes": lambda connection: check_upload(connection.post(UPLOAD, LARGE_BYTES), LARGE_BYTES),
        "growth_slow_bytes": lambda connection: _read_slowly(connection, bench.plan.slow_s),
    }
    for name in [proxy.name for proxy in bench.proxies]:
        for figure, transfer in transfers.items():
            with started(name, bench.site, bench.cores.proxy) as proxy:
                bench.samples.add(figure, name, _growth_bytes(proxy, transfer))


def _growth_bytes(proxy: Proxy, transfer: Callable[[Connection], None]) -> int:
    answered(proxy.port, SMALL, seconds=1)
    with Connection(proxy.port) as connection:
        proxy.process.reset_peak()
        before = proxy.process.resident_bytes()
        transfer(connection)
        return max(0, proxy.process.peak_bytes() - before)


def _read_slowly(connection: Connection, seconds: float) -> None:
    begin_s = time.monotonic()

    def pace(read: int) -> bool:
        time.sleep(max(0.0, begin_s + read / SLOW_BYTES_PER_S - time.monotonic()))
        return time.monotonic() < begin_s + seconds

    connection.get(LARGE, pace=pace)
