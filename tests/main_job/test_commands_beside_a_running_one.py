"""`healthcheck`, `wait`, `status` and `check --exchange`, against a process that runs on real token endpoints."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from tests.cli.command import sidecar_beside
from tests.main_job.canary import found
from tests.main_job.configuration import ENVIRON, oidc_credential, pocketbase_credential, route
from tests.main_job.process import JWT_START, running
from tests.servers.nginx import Nginx
from tests.servers.oidc import OidcProvider
from tests.servers.pocketbase import PocketBase


async def test_what_they_say(tmp_path: Path, nginx: Nginx, oidc: OidcProvider, pocketbase: PocketBase) -> None:
    """Exit 0 and the truth while it runs, exit 1 once it does not; never a key or a token."""
    configuration = {
        "credentials": {"crm": oidc_credential(oidc), "mail": pocketbase_credential(pocketbase)},
        "routes": [route("crm", nginx.http_url, "crm"), route("mail", nginx.http_url, "mail")],
    }
    async with running(tmp_path, configuration, ENVIRON) as sidecar:
        admin = ("--admin", sidecar.admin)
        waited = await sidecar_beside("wait", "--max", "10s", *admin)
        alive, ready, status, raw, check = await asyncio.gather(
            sidecar_beside("healthcheck", *admin),
            sidecar_beside("healthcheck", "--ready", *admin),
            sidecar_beside("status", *admin),
            sidecar_beside("status", "--json", *admin),
            sidecar_beside("check", "-c", str(sidecar.file), "--exchange", environ=ENVIRON),
        )
        fine = (waited, alive, ready, status, raw, check)
    assert [(ended.code, ended.err) for ended in fine] == [(0, "")] * len(fine)
    assert waited.out.startswith("ready after ")
    assert alive.out == "alive\n"
    for name in ("crm", "mail"):
        pattern = rf"^● {name} +(fresh|stale)\n +token +expires in [1-5] s .*\n.*\n +exchange +ok "
        assert re.search(pattern, status.out, re.MULTILINE), status.out
        assert re.search(rf"^exchange: +{name}: ok: a token for [45] s$", check.out, re.MULTILINE), check.out
    gone = await asyncio.gather(*(sidecar_beside(name, *admin) for name in ("healthcheck", "status")))
    assert [ended.code for ended in gone] == [1, 1]
    said = "".join(ended.out + ended.err for ended in (*fine, *gone)).encode()
    assert found([value.encode() for value in ENVIRON.values()], said) == []
    assert JWT_START.encode() not in said


async def test_check_of_a_key_that_is_refused(tmp_path: Path, oidc: OidcProvider) -> None:
    """Exit 1, which credential, and not the key."""
    configuration = {"credentials": {"crm": oidc_credential(oidc)}, "routes": [route("crm", oidc.issuer, "crm")]}
    async with running(tmp_path, configuration, ENVIRON) as sidecar:
        file = str(sidecar.file)
    ended = await sidecar_beside("check", "-c", file, "--exchange", environ={**ENVIRON, "OIDC_SECRET": "Wr0ng+secret"})
    assert ended.code == 1
    assert "crm: FAILED: " in ended.out
    assert found([b"Wr0ng+secret"], (ended.out + ended.err).encode()) == []
