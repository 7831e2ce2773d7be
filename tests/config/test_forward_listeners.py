"""`mode: forward`: how a listener is said to be a proxy, and what is said of routes that its apps could not name."""

from __future__ import annotations

import pytest

from sidecar.config import Config
from tests.config.loading import SHORT, load_text, mistake_in

PROXY = "listen: [127.0.0.1:8080, {address: '127.0.0.1:3128', mode: forward}]\n"


def modes(config: Config) -> list[tuple[str, str]]:
    """Return each listener with what is spoken there."""
    return [(str(address), address.mode) for address in config.listen]


def test_a_listener_is_an_address_or_says_more() -> None:
    """Alone or in a list; reverse is the usual."""
    assert modes(load_text(SHORT + PROXY)) == [("127.0.0.1:8080", "reverse"), ("127.0.0.1:3128", "forward")]
    assert modes(load_text(SHORT + "listen: {address: '127.0.0.1:1'}")) == [("127.0.0.1:1", "reverse")]
    assert modes(load_text(SHORT + "listen: {address: '[::1]:1', mode: forward}")) == [("[::1]:1", "forward")]
    assert load_text(SHORT + PROXY).listen[1].described == "127.0.0.1:3128 (forward proxy)"


@pytest.mark.parametrize(
    ("listen", "key", "text"),
    [
        ("{mode: forward}", "listen.address", "missing"),
        ("[{address: '127.0.0.1:1', mode: foward}]", "listen[0].mode", "did you mean forward?"),
        ("{address: '127.0.0.1', mode: forward}", "listen.address", "such as 127.0.0.1:8080"),
        ("{address: 'unix:/run/x', mode: forward}", "listen", "http_proxy knows no unix sockets"),
        ("{address: '0.0.0.0:3128', mode: forward}", "listen", "gate.expose: true"),
        ("[127.0.0.1:1, {address: '127.0.0.1:1', mode: forward}]", "listen[1]", "the same address as listen[0]"),
        ("[127.0.0.1:0, {address: '127.0.0.1:0', mode: forward}]", "listen[1]", "the same address as listen[0]"),
    ],
)
def test_mistakes(listen: str, key: str, text: str) -> None:
    """Each at its key, with what to write."""
    mistake = mistake_in(f"{SHORT}listen: {listen}")
    assert mistake.key == key and text in mistake.text


def test_an_exposed_proxy_without_a_token_is_warned_about() -> None:
    """As any listener is."""
    (warning,) = load_text(SHORT + "listen: {address: '0.0.0.0:1', mode: forward}\ngate: {expose: true}").warnings
    assert "gate.require_token" in warning


ROUTES = """\
routes:
  - {{name: a, match: {{path: /a/}}, strip_prefix: true, upstream: 'https://api.example.com/v1'}}
  - {{name: b, match: {{path: /b/, host: {host}}}, strip_prefix: true, upstream: 'https://API.example.com:443/{path}'}}
"""


@pytest.mark.parametrize(
    ("host", "path", "warned"),
    [
        ("null", "v1", "routes[1].upstream: a forward proxy takes these URLs for routes[0]'s"),
        ("null", "v2", ""),
        ("crm.local", "v2", ""),  # nor is it said that nobody gets in by this Host: a proxy's apps do
    ],
)
def test_a_route_whose_urls_are_another_s(host: str, path: str, warned: str) -> None:
    """Apps of a proxy name a route by its upstream's URL, so two must not have the same one."""
    text = ROUTES.format(host=host, path=path)
    warnings = load_text(PROXY + text).warnings
    assert len(warnings) == bool(warned) and warned in "".join(warnings)
    assert not any("forward proxy" in warning for warning in load_text(text).warnings)
