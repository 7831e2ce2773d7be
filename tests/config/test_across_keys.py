"""Rules that only show when keys are seen together, and the warnings."""

from __future__ import annotations

import sys

import pytest

from tests.config.loading import LONG, SHORT, load_text, mistake_in, mistakes_in


@pytest.mark.parametrize(
    "address",
    [
        *("0.0.0.0:8080", "[::]:8080", "[0:0::0]:8080", "10.1.2.3:8080", "[fe80::1]:8080", "128.0.0.1:8080"),
        *("crm.local:8080", "localhost.evil.example:8080", "localhost.:8080", "0x7f000001:8080", "0x0:8080"),
    ],
)
def test_listening_beyond_loopback_needs_expose(address: str) -> None:
    """The mistake stands at the listener and names the key; a name may lead anywhere, whatever it looks like."""
    mistake = mistake_in(f"{SHORT}listen: ['127.0.0.1:1', '{address}']")
    assert (mistake.key, "gate.expose: true" in mistake.text) == ("listen[1]", True)
    assert load_text(f"{SHORT}listen: '{address}'\ngate: {{expose: true}}").gate.expose


@pytest.mark.parametrize(
    "address",
    [
        *("127.1:8080", "127.0.0.1.:8080", "127.000.000.001:8080", "0177.0.0.1:8080", "0x7f.1:8080", "2130706433:8080"),
        *(
            "0:8080",
            ":8080",
            "[]:8080",
            "*:8080",
            "8080",
            "[::ffff:127.0.0.1]:8080",
            "[::1%lo]:8080",
            "[127.0.0.1]:8080",
        ),
        *(
            "::1:8080",
            "127.0.0.1 :8080",
            "127.0.0.1:8080 ",
            "user@127.0.0.1:8080",
            "127.0.0.1:8080/x",
            "http://127.0.0.1:8080",
        ),
        *("unix:@abstract", "unix:app.sock", "unix:", "unix:/" + "x" * 107),
    ],
)
def test_an_address_that_could_be_read_in_two_ways_is_none(address: str) -> None:
    """Not even with expose: resolvers disagree about these, and an abstract socket has no mode."""
    assert "listen" in mistake_in(f"{SHORT}listen: '{address}'\ngate: {{expose: true}}").key


def test_being_open_to_everybody_warns() -> None:
    """Exposed, and no token asked for; the file may say so, and then it is said at each start."""
    text = f"{SHORT}listen: '%s'\ngate: {{expose: true%s}}"
    (warning,) = load_text(text % ("0.0.0.0:8080", "")).warnings
    assert "listen: beyond loopback and open" in warning and "gate.require_token" in warning
    assert load_text(text % ("0.0.0.0:8080", ", require_token: {env: API_KEY}")).warnings == ()
    assert load_text(text % ("127.0.0.1:8080", "")).warnings == ()


def test_a_route_for_a_host_that_never_gets_in_warns() -> None:
    """The gate goes before the routes."""
    text = "gate: {hosts: [Other.local, 'third.local:81']}\n"
    text += "routes: [{upstream: 'http://127.0.0.1:1', match: {host: '%s'}}]\n"
    (warning,) = load_text(text % "crm.local").warnings
    assert "routes[0].match.host" in warning and "gate.hosts" in warning
    for host in ("localhost", "other.local:8080", "Third.local", "[::1]", "127.0.0.1:8080"):
        assert load_text(text % host).warnings == ()


@pytest.mark.parametrize("address", ["[::1]:8080", "[0:0:0:0:0:0:0:1]:8080", "[0::0001]:8080", "LocalHost:8080"])
def test_loopback_is_loopback_however_it_is_spelt(address: str) -> None:
    """An IPv6 address in its one canonical spelling."""
    assert load_text(f"{SHORT}listen: '{address}'").listen[0].is_loopback


@pytest.mark.parametrize("address", ["127.9.9.9:8080", "localhost:8080", "unix:/run/app.sock", "unix:/" + "x" * 106])
def test_listening_on_this_machine_needs_nothing(address: str) -> None:
    """Loopback and unix sockets are what it is for."""
    assert str(load_text(f"{SHORT}listen: '{address}'").listen[0]) == address


def test_an_admin_listener_beyond_loopback_needs_no_expose() -> None:
    """Probes and Prometheus dial the pod's address."""
    assert load_text(SHORT + "admin: {listen: '0.0.0.0:8081'}").admin.listen.host == "0.0.0.0"


def test_listeners_share_no_address() -> None:
    """Neither with each other nor with the admin listener; port 0 is another one each time."""
    assert "listen[0]" in mistake_in(SHORT + "listen: [127.0.0.1:1, 127.0.0.1:1]").text
    assert "admin.listen" in mistake_in(SHORT + "listen: 127.0.0.1:8081").text
    assert "listen[0]" in mistake_in(SHORT + "listen: ['unix:/a', 'unix:/a']").text
    assert len(load_text(SHORT + "listen: [127.0.0.1:0, 127.0.0.1:0]\nadmin: {listen: '127.0.0.1:0'}").listen) == 2


def test_plain_http_to_another_machine_needs_insecure_and_warns() -> None:
    """For an upstream and for a token endpoint; loopback needs nothing."""
    text = SHORT + "upstream: {url: http://api.example.com, insecure: %s}"
    assert mistake_in(text % "false").key == "upstream.url"
    (warning,) = load_text(text % "true").warnings
    assert ":4:" in warning and "upstream.url: plain http" in warning and "token" in warning
    endpoint = SHORT + "  exchange: {url: http://id.example.com, insecure: %s}"
    assert mistake_in(endpoint % "false").key == "credential.exchange.url"
    (warning,) = load_text(endpoint % "true").warnings
    assert "credential.exchange.url: plain http" in warning and "API key" in warning
    assert load_text(SHORT + "upstream: http://127.0.0.1:9000").warnings == ()


def test_insecure_where_it_does_nothing_warns() -> None:
    """It is no way to switch off the verification of certificates."""
    (warning,) = load_text(SHORT + "upstream: {url: https://api.example.com, insecure: true}").warnings
    assert "upstream.insecure: changes nothing" in warning


def test_a_literal_key_works_and_warns() -> None:
    """Its value is a secret from the moment it is read."""
    config = load_text(SHORT.replace("{env: API_KEY}", "{value: literal-canary}"))
    key = config.credentials[0].api_key
    assert (key.kind, key.name) == ("value", "")
    assert key.value is not None and key.value.reveal() == b"literal-canary"
    (warning,) = config.warnings
    assert "credential.api_key.value" in warning
    assert "literal-canary" not in repr(config) + warning


def test_a_key_that_the_environment_does_not_hold_is_a_mistake() -> None:
    """Unset and empty are told apart; the name is said where it looks like one."""
    assert "API_KEY is not set" in mistake_in(SHORT.replace("API_KEY", "OTHER_API_KEY")).text
    assert "API_KEY is empty" in mistake_in(SHORT, {"API_KEY": ""}).text
    assert mistake_in(SHORT + "gate: {require_token: {env: UNSET}}").key == "gate.require_token.env"


def test_routes_differ_in_match_and_name() -> None:
    """/crm and /crm/ match the same; another host does not."""
    route = "\n  - {upstream: 'https://b', match: {path: %s}}"
    assert "routes[1]" in mistake_in(LONG + (route % "/crm" + route % "/crm/").lstrip("\n")).text
    host = "  - {upstream: 'https://b', match: {host: b.local}, name: b}\n"
    assert len(load_text(LONG + host).routes) == 2
    assert mistake_in(LONG + host.replace("name: b", "name: /")).key == "routes[1].name"
    assert "the same name" in mistake_in(LONG + host.replace(", name: b", "")).text


def test_credentials_without_routes_are_a_mistake() -> None:
    """There is nothing to forward."""
    assert mistake_in(LONG.split("routes:")[0]).key == "routes"
    assert mistake_in("routes: []").key == "routes"


def test_an_unused_credential_warns() -> None:
    """It would be exchanged for nothing."""
    (warning,) = load_text(LONG.replace("    credential: vendor\n", "")).warnings
    assert "credentials.vendor: no route uses it" in warning


def test_a_client_key_needs_its_certificate(tmp_path_factory: pytest.TempPathFactory) -> None:
    """And every file must be there."""
    key = tmp_path_factory.mktemp("tls") / "key.pem"
    key.write_text("pem")
    text = SHORT + f"upstream: {{url: https://a, tls: {{client_key_file: {key}}}}}"
    assert mistake_in(text).key == "upstream.tls.client_key_file"
    assert "is there" in mistake_in(text.replace("key.pem", "gone.pem")).text


def test_tls_files_must_hold_what_they_should(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What is no PEM is found when the configuration is read, not when the first request fails."""
    ca = tmp_path_factory.mktemp("tls") / "ca.pem"
    ca.write_text("pem")
    mistake = mistake_in(SHORT + f"upstream: {{url: https://a, tls: {{ca_file: {ca}}}}}")
    assert (mistake.key, "expected PEM" in mistake.text) == ("upstream.tls", True)


def test_backoff_grows() -> None:
    """The first wait is not longer than the longest."""
    assert mistake_in(SHORT + "  refresh: {backoff: {first: 1m}}").key == "credential.refresh.backoff"


def test_a_wrong_credential_is_still_there_for_its_routes() -> None:
    """A mistake inside a credential does not cause another at the routes that use it."""
    mistakes = mistakes_in(LONG.replace("giantcontext", "static\n    exchange: 5"))
    assert [mistake.key for mistake in mistakes] == ["credentials.vendor.exchange"]
    assert [mistake.key for mistake in mistakes_in(LONG.replace("{env: API_KEY}", "5"))] == [
        "credentials.vendor.api_key"
    ]


def test_peer_uids_count_on_unix_listeners_alone() -> None:
    """A listener on TCP beside them lets everybody in: that is worth a warning."""
    unix = SHORT + "listen: 'unix:/run/app.sock'\ngate: {peer_uids: [1000]}"
    assert (load_text(unix).gate.peer_uids, load_text(unix).warnings) == ((1000,), ())
    (warning,) = load_text(SHORT + "gate: {peer_uids: [1000]}").warnings
    assert "gate.peer_uids: counts on unix listeners alone" in warning


def test_peer_uids_where_the_system_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake: what cannot be enforced is not accepted."""
    monkeypatch.setattr(sys, "platform", "openbsd7")
    assert mistake_in(SHORT + "listen: 'unix:/run/app.sock'\ngate: {peer_uids: [1000]}").key == "gate.peer_uids"
