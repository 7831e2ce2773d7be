"""A container of the image, locked down as far as an engine can: what its user may rely on from start to stop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

from sidecar import __version__
from sidecar.vendor.server import DEMO_KEY
from tests.image.container import Container, podman, run_once
from tests.image.inside import Inside
from tests.image.marks import needs_image
from tests.image.stand import (
    ADMIN_PORT,
    APP_PORT,
    CONFIG_FILE,
    KEY_FOLDER,
    KEY_NAME,
    VENDOR_PORT,
    KeyFolder,
    Stand,
    sidecar_beside,
    stand,
)
from tests.image.test_compose import read
from tests.servers import programs
from tests.servers.prometheus import promtool_check

pytestmark = needs_image

REQUESTS, CONNECTIONS = 1000, 32
ASKED_EVERY_S = 0.01
# Loose: this machine may have much else to do. The figures are in the report.
ANSWERS_WITHIN_S = 10.0
MOST_PSS_BYTES = 60e6
# Prints all that its own user may write.
WRITABLE = """
import os
for folder, folders, files in os.walk("/"):
    for path in [os.path.join(folder, name) for name in [".", *files]]:
        if os.access(path, os.W_OK) and not os.path.islink(path):
            print(path)
"""
# What the engine itself puts into a container.
ENGINES_OWN = {
    *("/dev", "/etc", "/etc/hosts", "/etc/hostname", "/etc/mtab", "/etc/resolv.conf"),
    *("/run", "/run/.containerenv", "/run/secrets"),
}


def test_its_commands_are_the_sidecars() -> None:
    """`docker run IMAGE version` and the others; a configuration that is missing ends it with 2 and says what to do."""
    assert run_once("version").out.startswith(f"sidecar {__version__} (Python 3.13.")
    assert "example:" in run_once("check", "--help").out
    ended = run_once("check")
    assert ended.code == 2
    assert CONFIG_FILE in ended.err and "SIDECAR_API_KEY_FILE" in ended.err


async def first_200(client: Inside, target: str) -> float:
    """Return when a target is first answered 200, asked all the time; in seconds since the machine was started."""
    while True:
        with suppress(OSError, EOFError):
            if (await client.ask("GET", target)).status == 200:
                return time.clock_gettime(time.CLOCK_BOOTTIME)
        await asyncio.sleep(ASKED_EVERY_S)


async def test_it_is_alive_and_answers_soon(figure: Callable[[str, str], None], tmp_path: Path) -> None:
    """From the start of its process to the first 200 of a probe, and of an app, both of which ask all the time."""
    with ExitStack() as stack:
        vendor = stack.enter_context(Container("vendor"))
        await Inside(vendor.pid, VENDOR_PORT).until_accepts()
        sidecar = sidecar_beside(vendor, tmp_path, KeyFolder(tmp_path / "key"))
        stack.callback(sidecar.remove)
        async with asyncio.timeout(ANSWERS_WITHIN_S), asyncio.TaskGroup() as group:
            alive = group.create_task(first_200(Inside(vendor.pid, ADMIN_PORT), "/livez"))
            answered = group.create_task(first_200(Inside(vendor.pid, APP_PORT), "/me"))
            await asyncio.to_thread(sidecar.start)
        cpu_s = sidecar.cpu_s()
        alive_s, answered_s = (at.result() - sidecar.started_at() for at in (alive, answered))
    figure("start to /livez / to an app's first 200", f"{alive_s:.2f} s / {answered_s:.2f} s ({cpu_s:.2f} s of CPU)")


async def test_it_writes_nothing(shared_stand: Stand) -> None:
    """While it serves, there is no file or folder that it could write but the kernel's own, and none has changed."""
    await shared_stand.ready()
    assert (await shared_stand.app.ask("GET", "/me")).status == 200
    ended = shared_stand.sidecar.run("python3.13", "-c", WRITABLE)
    assert ended.code == 0, ended.err
    assert {path for path in ended.out.split() if not path.startswith(("/dev/", "/proc/"))} == set()
    changed = {line.split()[1] for line in podman("diff", shared_stand.sidecar.name).out.splitlines()}
    places = {CONFIG_FILE, str(Path(CONFIG_FILE).parent), KEY_FOLDER}
    assert changed - ENGINES_OWN - places == set()


async def test_it_has_no_right_to_anything(shared_stand: Stand) -> None:
    """No capability, no way to get one, and not root."""
    status = Path(f"/proc/{shared_stand.sidecar.pid}/status").read_text()
    fields = dict(line.split(":\t", 1) for line in status.splitlines())
    assert {int(fields[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert fields["NoNewPrivs"] == "1"
    assert fields["Uid"].split() == ["65532"] * 4


async def test_its_memory_stays_small(figure: Callable[[str, str], None], tmp_path: Path) -> None:
    """After 1,000 requests over 32 connections; nobody else's pages are shared with it."""
    with stand(tmp_path) as at:
        await at.ready()
        before = at.sidecar.memory_bytes()

        async def ask(count: int) -> int:
            async with at.app.connected() as wire:
                good = 0
                for _ in range(count):
                    await wire.send(at.app.request("GET", "/me"))
                    good += (await wire.response()).status == 200
                return good

        counts = [REQUESTS // CONNECTIONS + (number < REQUESTS % CONNECTIONS) for number in range(CONNECTIONS)]
        assert sum(await asyncio.gather(*map(ask, counts))) == REQUESTS
        after = at.sidecar.memory_bytes()
    figure(
        "memory: idle, after 1,000 requests over 32",
        ", ".join(f"{one['Pss'] / 1e6:.1f} MB PSS ({one['Rss'] / 1e6:.1f} MB RSS)" for one in (before, after)),
    )
    assert after["Pss"] < MOST_PSS_BYTES


async def test_its_health_check_tells_good_from_bad(shared_stand: Stand) -> None:
    """The image's HEALTHCHECK: 0 where a sidecar is alive, 1 where none is (the pretend vendor's container)."""
    await shared_stand.ready()
    good = podman("healthcheck", "run", shared_stand.sidecar.name)
    assert good.code == 0, good
    with Container("vendor") as other:
        assert podman("healthcheck", "run", other.name).code == 1


async def test_prometheus_reads_its_metrics(shared_stand: Stand) -> None:
    """promtool has nothing to say about them, and they say which Python serves."""
    programs.require("promtool")
    await shared_stand.ready()
    metrics = (await shared_stand.admin.ask("GET", "/metrics")).body.decode()
    assert promtool_check(metrics) == ""
    assert 'python="3.13.' in metrics


async def test_a_key_that_is_rewritten_brings_a_new_token(tmp_path: Path) -> None:
    """The Secret's folder is swapped, as Kubernetes does it: the new key is exchanged, and nobody has noticed."""
    with stand(tmp_path) as at:
        await at.ready()
        before = await at.app.ask("GET", "/me")
        new = f"gct_rewritten_{'0123456789abcdef' * 2}"
        deed = f'{{"do":"regenerate_key","api_key":"{new}","keep_tokens":true}}'.encode()
        assert (await at.control.ask("POST", "/-/faults", body=deed)).status == 200
        at.key.write(new)
        await at.admin.until(1, "sidecar_exchanges_total", outcome="ok", trigger="key_change")
        after = await at.app.ask("GET", "/me")
        assert (before.status, after.status) == (200, 200)
        assert before.body != after.body  # it names the token
        logs = at.sidecar.logs()
        assert new not in logs and DEMO_KEY not in logs


async def test_sigterm_lets_what_runs_finish(figure: Callable[[str, str], None], tmp_path: Path) -> None:
    """A request that is under way gets its whole answer; then it ends with 0, long before it would be killed."""
    with stand(tmp_path) as at:
        await at.ready()
        asked = asyncio.create_task(at.app.ask("GET", "/slow?ms=1500"))
        await at.admin.until(1, "sidecar_requests_in_flight", route="demo")
        stopped_s = await asyncio.to_thread(at.sidecar.stop)
        answer = await asked
        assert answer.status == 200
        assert at.sidecar.inspect()["State"]["ExitCode"] == 0
    figure("SIGTERM to its end, a request of 1.5 s under way", f"{stopped_s:.1f} s")
    assert stopped_s < 10


async def test_the_gateway_of_the_compose_file_asks_for_its_token(tmp_path: Path) -> None:
    """Its configuration, in the image: no token, no way in; with it, the request gets as far as the exchange."""
    config, keys = tmp_path / "config.yaml", tmp_path / "keys"
    config.write_text(read("gateway.yaml")["configs"]["sidecar"]["content"])
    keys.mkdir()
    for name, value in ((KEY_NAME, DEMO_KEY), ("gate-token", "a-token-of-the-gate")):
        (keys / name).write_text(value)
    with Container(mounts={config: CONFIG_FILE, keys: KEY_FOLDER}) as sidecar:
        app = Inside(sidecar.pid, APP_PORT)
        await app.until_accepts()
        await Inside(sidecar.pid, ADMIN_PORT).until(0, "sidecar_exchanges_total", outcome="ok", trigger="start")

        async def ask(*lines: str) -> int:
            request = "\r\n".join(["GET / HTTP/1.1", "Host: sidecar:8080", *lines, "", ""]).encode()
            async with app.connected() as wire:
                await wire.send(request)
                return (await wire.response()).status

        assert await ask() == 403
        assert await ask("Sidecar-Token: another") == 403
        # There is no network here, so no token: what it would be without the gate.
        assert await ask("Sidecar-Token: a-token-of-the-gate") == 503
