"""The key file is swapped under load and the old key is dead at once: no request is lost.

Two swaps at 100 requests a second in the suite; ten of each kind at 300 where `SIDECAR_LONG` is set.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sidecar.secret import Secret
from sidecar.vendor.server import DEMO_KEY, Vendor, VendorOptions
from tests.main_job.client import Admin, Client
from tests.main_job.configuration import Section, route, vendor_credential
from tests.main_job.load import Load, steady_load
from tests.main_job.process import SidecarProcess, running

LONG = bool(os.environ.get("SIDECAR_LONG"))
REQUESTS_PER_S = 300 if LONG else 100
# Ten swaps in half a minute take two exchanges each, which the usual budget would not allow.
BUDGET: Section = {"refresh": {"budget": "120/1m"}}
RECOVERED_WITHIN_S = 5.0

Swap = Callable[[Path, str], None]


def by_rename(file: Path, key: str) -> None:
    """Put a new file in its place, in one step."""
    new = file.with_suffix(".new")
    new.write_text(f"{key}\n")
    os.replace(new, file)


def by_link(file: Path, key: str) -> None:
    """As Kubernetes does: the file is `..data/key`, and `..data` a link that is swapped."""
    day = file.parent / f"..{key}"
    day.mkdir()
    (day / file.name).write_text(f"{key}\n")
    _link(file.parent / "..data", day.name)
    if not file.is_symlink():
        _link(file, f"..data/{file.name}")


def in_place(file: Path, key: str) -> None:
    """Truncate and write it."""
    file.write_text(f"{key}\n")


def _link(link: Path, to: str) -> None:
    new = link.parent / "..new"
    new.symlink_to(to)
    os.replace(new, link)


@dataclass
class Rotated:
    """A sidecar under load, its vendor, and the file that its key is in."""

    sidecar: SidecarProcess
    vendor: Vendor
    file: Path
    load: Load
    admin: Admin
    swaps: Iterator[Swap]
    keys: list[str] = field(default_factory=list)
    rejections: dict[str, float] = field(default_factory=dict)

    async def swap(self, *, keep_tokens: bool, written_after_s: float) -> None:
        """Regenerate the key; its file is written so long after the old one's death, or before where it is negative."""
        key = f"gct_swapped_{len(self.keys)}_{'0123456789abcdef' * 2}"
        self.keys.append(key)
        deeds: list[tuple[float, Callable[[], None]]] = [
            (0.0, lambda: self.vendor.issuer.replace_key(Secret(key), keep_tokens=keep_tokens)),
            (written_after_s, lambda: next(self.swaps)(self.file, key)),
        ]
        waited_s = min(0.0, written_after_s)
        for at_s, do in sorted(deeds, key=lambda deed: deed[0]):
            await asyncio.sleep(at_s - waited_s)
            waited_s = at_s
            do()
        await self.admin.until(
            len(self.keys), "sidecar_exchanges_total", RECOVERED_WITHIN_S, outcome="ok", trigger="key_change"
        )
        await self.load.goes_on(0.5)

    async def mistake(self) -> None:
        """Put a wrong key there: it is refused, and the old token goes on being used."""
        next(self.swaps)(self.file, "gct_mistaken")
        await self.admin.until(1, "sidecar_credential_state", RECOVERED_WITHIN_S, state="key_rejected")
        assert (await self.admin.ask("GET", "/readyz")).status == 200
        (credential,) = (await self.admin.json("/status"))["credentials"]
        assert credential["error"] and str(self.file) in credential["remedy"]
        await self.load.goes_on(0.2)

    def arrivals(self) -> Counter[int]:
        """How many requests arrived at the vendor how often."""
        paths = Counter(entry.path for entry in self.vendor.journal.entries if entry.on == "api")
        return Counter(paths.values())

    async def note_rejections(self) -> None:
        """Take the rejections by kind, once the load is over."""
        figures = await self.admin.figures()
        for kind in ("expired", "revoked", "forbidden"):
            self.rejections[kind] = figures.sum("sidecar_rejections_total", kind=kind)


@asynccontextmanager
async def rotating(tmp_path: Path) -> AsyncIterator[Rotated]:
    """Run all of it under load; at the end no key is in the log."""
    file = tmp_path / "keys" / "key"
    file.parent.mkdir()
    in_place(file, DEMO_KEY)
    server = Vendor(VendorOptions(token_life_s=3600, log_entries=1_000_000))
    await server.start()
    try:
        credential = vendor_credential(server, api_key={"file": str(file)}, **BUDGET)
        configuration = {"credentials": {"crm": credential}, "routes": [route("crm", server.url, "crm")]}
        async with running(tmp_path, configuration) as sidecar:
            admin = Admin(sidecar.admin_port)
            await admin.ready()
            async with steady_load(Client(sidecar.port), "/crm/echo/", REQUESTS_PER_S) as load:
                swaps = itertools.cycle((by_rename, by_link, in_place))
                rotated = Rotated(sidecar, server, file, load, admin, swaps)
                yield rotated
            await rotated.note_rejections()
        output = sidecar.output()
        assert not [key for key in (DEMO_KEY, *rotated.keys) if key in output]
    finally:
        await server.stop()


@pytest.mark.timeout(150)
async def test_no_request_is_lost_to_a_key_that_is_swapped(tmp_path: Path) -> None:
    """The old key is dead at once, its tokens live on: no request waits or is replayed, whichever comes first.

    Nor is one lost to a wrong key in the file, and the next good one is used within 5 s.
    """
    async with rotating(tmp_path) as rotated:
        if LONG:
            await rotated.mistake()
        for number in range(10 if LONG else 1):
            await rotated.swap(keep_tokens=True, written_after_s=(-0.3, 0.0, 0.3)[number % 3])
        assert (await rotated.admin.figures()).sum("sidecar_credential_state", state="fresh") == 1
    assert rotated.load.statuses == {(200, ""): rotated.load.begun}
    assert rotated.arrivals() == {1: rotated.load.begun}
    assert rotated.rejections == {"expired": 0, "revoked": 0, "forbidden": 0}


@pytest.mark.timeout(150)
async def test_no_request_is_lost_to_tokens_that_are_revoked_with_the_key(tmp_path: Path) -> None:
    """What is rejected waits for the new key, which is read before the refusal of the old one is believed."""
    async with rotating(tmp_path) as rotated:
        for number in range(10 if LONG else 1):
            await rotated.swap(keep_tokens=False, written_after_s=(-0.2, 0.0, 1.0)[number % 3])
    assert rotated.load.statuses == {(200, ""): rotated.load.begun}
    assert set(rotated.arrivals()) == {1, 2}, "at most one replay"
    assert rotated.rejections == {"expired": 0, "revoked": rotated.arrivals()[2], "forbidden": 0}
    refused = [entry for entry in rotated.vendor.journal.entries if entry.on == "token" and entry.status == 401]
    assert len(refused) <= len(rotated.keys), "the dead key is exchanged once"
