"""Every file of `examples/` is right as it stands, and gets a token from an endpoint that takes what its vendor wants.

A new file needs an entry in `vendors.py`; without one, a test here fails.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path
from urllib.parse import urlsplit

import jsonschema
import pytest
import yaml

from sidecar.assembly import exchanger, key_source
from sidecar.cli import main
from sidecar.config import load
from sidecar.config.schema import schema
from sidecar.config.values import Config, CredentialConfig, KeyConfig
from sidecar.credentials.token import Token
from sidecar.errors import ExchangeFailed
from tests.credentials.endpoint import Endpoint, answer, endpoint
from tests.credentials.manual_clock import ManualClock
from tests.examples.vendors import NOW, VENDORS, Request, Vendor

SCHEMA = schema()
FOLDER = Path(__file__).parents[2] / "examples"
FILES = sorted(path.stem for path in FOLDER.glob("*.yaml"))


def credential_of(name: str) -> CredentialConfig:
    """Return the one credential of an example."""
    config = load(path=str(FOLDER / f"{name}.yaml"), flags={}, environ={})
    (credential,) = config.credentials
    return credential


@asynccontextmanager
async def pretend(vendor: Vendor) -> AsyncIterator[tuple[Endpoint, str, list[AssertionError]]]:
    """Serve as a vendor; yields its endpoint, its address, and why it refused requests."""
    refused: list[AssertionError] = []
    path = urlsplit(vendor.endpoint).path

    async def serve(writer: asyncio.StreamWriter) -> None:
        date = f"Date: {formatdate(NOW, usegmt=True)}"
        try:
            request = Request.read(server.requests[-1], url)
            assert request.line == f"POST {path} HTTP/1.1"
            vendor.takes(request)
        except AssertionError as error:
            refused.append(error)
            status, body = vendor.refuses
            writer.write(answer(json.dumps(body).encode(), date, status=f"{status} No"))
        else:
            writer.write(answer(json.dumps(vendor.answer).encode(), date, status=f"{vendor.status} Yes"))
        await writer.drain()

    async with endpoint(serve) as server:
        url = f"http://127.0.0.1:{server.port}{path}"
        yield server, url, refused


async def exchange(credential: CredentialConfig, vendor: Vendor, url: str, file: Path, ahead_s: float = 0.0) -> Token:
    """Exchange as the sidecar does, by a clock that may be ahead of the vendor's; only the addresses are other ones."""
    file.touch(0o600)
    file.write_bytes(vendor.key)
    assert credential.exchange is not None
    there = replace(credential, exchange=replace(credential.exchange, url=url), api_key=KeyConfig("file", str(file)))
    made = exchanger(there, ManualClock(NOW + ahead_s))
    try:
        config = Config(listen=(), credentials=(there,), routes=())
        return await made.exchange(await key_source(there.api_key, config, signs=there.signs).read())
    finally:
        await made.close()


def test_every_example_has_a_vendor_here() -> None:
    """And every vendor an example: nothing is shown that was never tried."""
    assert FILES == sorted(VENDORS)
    # The files of compose/ are held against its schema elsewhere.
    assert all(path.suffix == ".yaml" or path.name == "compose" for path in FOLDER.iterdir())


@pytest.mark.parametrize("name", FILES)
def test_an_example_passes_check(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """As it stands; that the key's file is not there yet is all there is to warn of. Editors mark nothing in it."""
    assert main(["check", "-c", str(FOLDER / f"{name}.yaml")]) == 0
    out, err = capsys.readouterr()
    assert VENDORS[name].endpoint in out
    assert err.count("\n") == 1 and "there is no such file yet" in err
    jsonschema.validate(yaml.safe_load((FOLDER / f"{name}.yaml").read_text()), SCHEMA)


@pytest.mark.parametrize("name", FILES)
def test_an_example_says_where_its_facts_are_from(name: str) -> None:
    """Its head names the vendor's page and what is needed, signing's extra among it; its lines fit a screen."""
    head = re.match(r"(#.*\n)+", text := (FOLDER / f"{name}.yaml").read_text())
    assert head and "You need:" in head[0] and re.search(r"# Facts: https://\S+", head[0])
    assert ("credential-sidecar[sign]" in head[0]) == credential_of(name).signs
    assert all(len(line) <= 120 or "//" in line for line in text.splitlines())


@pytest.mark.parametrize("name", FILES)
async def test_an_example_gets_a_token(name: str, tmp_path: Path) -> None:
    """By exactly the request that the vendor documents; the token is put on as it asks, for as long as it says."""
    vendor, credential = VENDORS[name], credential_of(name)
    assert credential.exchange is not None and credential.exchange.url == vendor.endpoint
    async with pretend(vendor) as (server, url, refused):
        token = await exchange(credential, vendor, url, tmp_path / "key")
        assert refused == []
    assert token.line.reveal() == vendor.line
    assert token.expires_at - token.obtained_at == pytest.approx(vendor.life_s)
    assert len(server.requests) == 1


@pytest.mark.parametrize("name", FILES)
async def test_a_bad_key_of_an_example_is_known_as_one(name: str, tmp_path: Path) -> None:
    """The vendor's own answer to it is not taken for an outage."""
    refusing = replace(VENDORS[name], takes=_refuses)
    async with pretend(refusing) as (_, url, _):
        with pytest.raises(ExchangeFailed) as failed:
            await exchange(credential_of(name), refusing, url, tmp_path / "key")
    assert failed.value.outcome == "key_rejected"


@pytest.mark.parametrize("ahead_s", [-50.0, 50.0, -7200.0, 7200.0])
async def test_github_takes_an_app_whose_clock_is_off(ahead_s: float, tmp_path: Path) -> None:
    """Within a minute by the backdating that it advises; beyond, by signing once more by its clock."""
    vendor, credential = VENDORS["github-app"], credential_of("github-app")
    async with pretend(vendor) as (server, url, refused):
        await exchange(credential, vendor, url, tmp_path / "key", ahead_s)
    # The installation's expiry is a moment of its clock as well.
    assert len(server.requests) == (1 if abs(ahead_s) < 60 else 2) == len(refused) + 1


def _refuses(request: Request) -> None:
    raise AssertionError
