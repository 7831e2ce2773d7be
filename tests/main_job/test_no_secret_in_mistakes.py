"""Canary keys in wrong configurations: the mistake is named, on a start, a check and a reload; the key is not."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
import yaml

from tests.cli.command import sidecar_beside
from tests.main_job.canary import found
from tests.main_job.client import Admin
from tests.main_job.configuration import Section, route
from tests.main_job.process import running
from tests.main_job.secretive import (
    ENV_KEY,
    LITERAL_KEY,
    SECRETS,
)
from tests.servers.nginx import Nginx

ENVIRON = {"CANARY_KEY": ENV_KEY.decode()}

KEY = LITERAL_KEY.decode()
BAD_CREDENTIALS: dict[str, object] = {
    "bare": {"preset": "giantcontext", "api_key": KEY},
    "beside a mistake": {"preset": "giantcontext", "api_key": {"value": KEY, "vlaue": KEY}},
    "as a variable's name": {"preset": "giantcontext", "api_key": {"env": KEY}},
    "as a key": {"preset": "giantcontext", "api_key": {KEY: "env"}},
    "as a preset": {"preset": KEY, "api_key": {"env": "CANARY_KEY"}},
    "in a URL": {"api_key": {"env": "CANARY_KEY"}, "exchange": {"url": f"https://app:{KEY}@example.com/token"}},
    "in a field": {"preset": "oauth2", "api_key": {"value": KEY}, "exchange": {"basic": {"username": KEY, "user": 1}}},
    "as a list": {"preset": "giantcontext", "api_key": [KEY]},
    "alone": KEY,
}


@pytest.fixture(scope="module")
def wrong_files() -> dict[str, str]:
    """Configurations with a literal key in them, each wrong in another way, by what is wrong."""
    routes = [route("crm", "https://api.example.com", "crm")]
    files = {
        name: yaml.safe_dump({"credentials": {"crm": credential}, "routes": routes})
        for name, credential in BAD_CREDENTIALS.items()
    }
    return {
        **files,
        "not YAML": f'credentials: {{crm: {{api_key: {{value: "{KEY}',
        "a tab": f"credentials:\n\tcrm: {KEY}",
    }


async def test_in_mistakes_of_a_configuration(tmp_path: Path, nginx: Nginx, wrong_files: dict[str, str]) -> None:
    """On a start, on a check and on a reload: the mistake is named, the key beside it is not."""
    good: Section = {"routes": [route("crm", nginx.http_url, None)]}
    async with running(tmp_path, good, ENVIRON) as sidecar:
        admin = Admin(sidecar.admin_port)
        for name, text in wrong_files.items():
            sidecar.file.write_text(text)
            answer = await admin.ask("POST", "/-/reload")
            assert answer.status >= 400 and json.loads(answer.body)["mistakes"], name
            status = await admin.ask("GET", "/status")
            page = await admin.ask("GET", "/")
            assert found(SECRETS, answer.body + status.body + page.body) == [], name
    assert found(SECRETS, sidecar.output().encode()) == []


async def test_on_wrong_starts(tmp_path: Path, wrong_files: dict[str, str]) -> None:
    """Also where the key is given as a flag, which there is none for."""
    starts = [("run", "--api-key", KEY), ("run", f"--api-key={KEY}"), ("run", KEY)]
    for number, text in enumerate(wrong_files.values()):
        file = tmp_path / f"{number}.yaml"
        file.write_text(text)
        starts.append((("run", "check")[number % 2], "-c", str(file)))
    for ended in await asyncio.gather(*(sidecar_beside(*start, environ=ENVIRON) for start in starts)):
        assert ended.code == 2 and ended.err
        assert found(SECRETS, (ended.out + ended.err).encode()) == [], ended.err
