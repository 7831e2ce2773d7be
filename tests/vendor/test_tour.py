"""The tour says that a step held only if it did."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from functools import partial
from pathlib import Path

import pytest

from sidecar.config import load
from sidecar.config.values import Address
from sidecar.vendor.server import DEMO_KEY, VendorOptions
from sidecar.vendor.standalone import guide
from sidecar.vendor.tour import TourOptions, demo_config, tour, usable
from sidecar.vendor.tour_steps import Step, authenticated, forbidden, observed, recovered, refreshed
from tests.vendor.toy_sidecar import ToySidecar

_FREE = Address("127.0.0.1", 0)
_ONCE = TourOptions(listen=_FREE, admin=_FREE, vendor=_FREE, token_life_s=3.0, once=True)


async def test_every_step_holds() -> None:
    """A sidecar that keeps its promises: exit code 0, and no key or token in what was said."""
    said: list[str] = []
    assert await tour(ToySidecar, _ONCE, said.append) == 0
    text = "\n".join(said)
    assert "5 of 5 steps held." in text
    assert "DID NOT HOLD" not in text
    assert "Bearer" not in text
    assert "eyJ" not in text
    assert "gct_" not in text


@pytest.mark.parametrize(
    ("breaks", "step", "said_of_it"),
    [
        ("refresh", refreshed, "the token is renewed, once, before it expires"),
        ("replay", recovered, "the app sees one 200"),
        ("forbidden", forbidden, "a 403 causes no replay and no exchange"),
        ("metrics", observed, "the metrics count the exchanges that were made"),
        ("answer", authenticated, "a plain request is answered 200"),
    ],
)
async def test_a_broken_promise_is_told(breaks: str, step: Step, said_of_it: str) -> None:
    """A sidecar that breaks one promise: exit code 1, and the line that names it."""
    said: list[str] = []
    assert await tour(partial(ToySidecar, breaks=breaks), _ONCE, said.append, steps=(step,)) == 1
    assert f"   DID NOT HOLD: {said_of_it}" in said


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
async def test_it_stays_up_until_a_signal(ending: signal.Signals) -> None:
    """After the tour it prints what to try and waits; a signal ends it, and everything is closed."""
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        if "To try:" in text:
            asyncio.get_running_loop().call_later(0.1, os.kill, os.getpid(), ending)

    options = TourOptions(listen=_FREE, admin=_FREE, vendor=_FREE, token_life_s=2.0)
    assert await tour(ToySidecar, options, say, steps=(authenticated,)) == 0
    assert "To try:" in said[-1]


async def test_a_signal_ends_the_tour_itself() -> None:
    """Ctrl-C in the middle of a step does not wait for the end of it."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    loop.call_later(0.5, os.kill, os.getpid(), signal.SIGINT)
    await tour(ToySidecar, TourOptions(listen=_FREE, admin=_FREE, vendor=_FREE, token_life_s=30.0), lambda _text: None)
    assert loop.time() - began < 5


def test_a_port_in_use_is_replaced() -> None:
    """The wanted port is taken if it is free, else any."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        wanted = Address("127.0.0.1", taken.getsockname()[1])
        assert usable(wanted) == _FREE
    assert usable(wanted) == wanted


def test_the_demo_is_configured_as_the_preset_is(tmp_path: Path) -> None:
    """What `sidecar vendor` prints, loaded, has the exchange, injection and shield of the sidecar on tour."""
    printed = guide("http://127.0.0.1:9400", VendorOptions()).partition("points a sidecar at it:\n")[2]
    file = tmp_path / "sidecar.yaml"
    file.write_text(printed)
    written = load(path=str(file), flags={}, environ={"DEMO_API_KEY": DEMO_KEY}).credentials[0]
    shown = demo_config("http://127.0.0.1:9400", _FREE, _FREE).credentials[0]
    assert (shown.exchange, shown.inject, shown.shield) == (written.exchange, written.inject, written.shield)
