"""CPU per 10 MB body, down and up, one connection."""

from __future__ import annotations

import json

from bench.client import Answer, Connection
from bench.scenarios import Bench
from bench.site import BODY, BODY_BYTES, UPLOAD


def measure(bench: Bench) -> None:
    """Adds `cpu_download_s` and `cpu_upload_s`."""
    for order in bench.rounds():
        for proxy in order:
            with Connection(proxy.port) as connection:
                cpu_s = proxy.process.cpu_s()
                for _ in range(bench.plan.bodies):
                    check_download(connection.get(BODY), BODY_BYTES)
                between_s = proxy.process.cpu_s()
                for _ in range(bench.plan.bodies):
                    check_upload(connection.post(UPLOAD, BODY_BYTES), BODY_BYTES)
                end_s = proxy.process.cpu_s()
            bench.samples.add("cpu_download_s", proxy.name, (between_s - cpu_s) / bench.plan.bodies)
            bench.samples.add("cpu_upload_s", proxy.name, (end_s - between_s) / bench.plan.bodies)


def check_download(answer: Answer, size: int) -> None:
    """Raises RuntimeError unless the whole body came."""
    if answer.status != 200 or answer.length != size:
        raise RuntimeError(f"download: status {answer.status}, {answer.length} of {size} bytes")


def check_upload(answer: Answer, size: int) -> None:
    """Raises RuntimeError unless the upstream has read the whole body."""
    if answer.status != 200 or json.loads(answer.body)["received"] != size:
        raise RuntimeError(f"upload: status {answer.status}, {answer.body!r}")
