"""The long form: several listeners, credentials and routes, with everything that can be said of them."""

from __future__ import annotations

from pathlib import Path

import trustme

from sidecar.config.values import Address, KeyConfig
from sidecar.credentials.rules import AnswerPointers, BasicAuth, Injection, RefreshRules, RejectedRules, sealed
from sidecar.dataplane.limits import PoolLimits, Timeouts
from sidecar.gate import HeaderRule
from sidecar.routes import Allow
from sidecar.tls import TLSRules
from tests.config.loading import LONG, load_text


def test_everything_lands_in_its_field(tmp_path: Path) -> None:
    """Each key of a credential and of a route, once, with a value that is not the default."""
    ca, cert, key = (str(tmp_path / name) for name in ("ca.pem", "cert.pem", "key.pem"))
    authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
    authority.cert_pem.write_to_path(ca)
    client = authority.issue_cert("client.local", key_type=trustme.KeyType.ECDSA)
    client.cert_chain_pems[0].write_to_path(cert)
    client.private_key_pem.write_to_path(key)
    tls = f"{{ca_file: {ca}, client_cert_file: {cert}, client_key_file: {key}, server_name: inner}}"
    config = load_text(
        f"""
listen: [127.0.0.1:8080, "[::1]:8080", "unix:/run/sidecar/app.sock"]
credentials:
  vendor:
    api_key: {{file: /run/secrets/vendor}}
    exchange:
      url: https://id.example.com/token
      method: PUT
      headers: {{X-One: "1", X-Key: "{{api_key}}"}}
      form: {{grant: key, n: 5}}
      basic: {{username: me, password: "{{api_key}}"}}
      response: {{token: /t, expires_at: /a, expires_in: /i}}
      timeout: 3s
      tls: {tls}
    inject: {{header: X-Token, value: "T {{token}}", drop: [X-A, X-B]}}
    shield: {{path: /auth}}
    rejected: {{statuses: [400], body: bad key}}
    refresh: {{window: 1m, default_ttl: 1h, hold_down: 0, budget: 3/10s, backoff: {{first: 2s, most: 9s}}}}
    reject_statuses: [401, 419]
routes:
  - name: crm
    match: {{path: /crm/, host: crm.local}}
    upstream:
      url: https://api.example.com:8443/v1/
      host_header: api.internal
      tls: {tls}
      timeouts: {{connect: 1s, head: 2s, idle: 3s}}
      pool: {{most: 7, idle: 8s}}
    strip_prefix: true
    credential: vendor
    allow: [{{methods: [GET, HEAD], paths: ["/crm/**"]}}, {{methods: [POST]}}]
    replay_body: 0
    agent_safe: true
  - upstream: https://open.example.com
"""
    )
    rules = TLSRules(ca, cert, key, "inner")
    assert config.listen == (
        Address("127.0.0.1", 8080),
        Address("::1", 8080),
        Address(path="/run/sidecar/app.sock"),
    )
    (credential,) = config.credentials
    exchange = credential.exchange
    assert exchange is not None
    assert (credential.name, credential.preset) == ("vendor", None)
    assert credential.api_key == KeyConfig("file", "/run/secrets/vendor")
    assert (exchange.url, exchange.method, exchange.timeout_s) == ("https://id.example.com/token", "PUT", 3.0)
    assert dict(exchange.headers) == sealed({"X-One": "1", "X-Key": "{api_key}"})
    assert (dict(exchange.form or ()), exchange.json) == (sealed({"grant": "key", "n": "5"}), None)
    assert exchange.basic == BasicAuth("me", "{api_key}")
    assert exchange.response == AnswerPointers("/t", "/a", "/i")
    assert exchange.tls == rules
    assert credential.inject == Injection("X-Token", "T {token}", ("X-A", "X-B"))
    assert credential.shield is not None and credential.shield.path == "/auth"
    assert credential.rejected == RejectedRules((400,), "bad key")
    assert credential.refresh == RefreshRules(60.0, 3600.0, 0.0, 3, 10.0, 2.0, 9.0)
    assert credential.reject_statuses == (401, 419)
    crm, rest = config.routes
    assert (crm.name, crm.path, crm.host, crm.strip_prefix, crm.credential) == (
        "crm",
        "/crm/",
        "crm.local",
        True,
        "vendor",
    )
    assert (crm.upstream.url, crm.upstream.host_header) == ("https://api.example.com:8443/v1", "api.internal")
    assert (crm.upstream.tls, crm.upstream.timeouts) == (rules, Timeouts(1.0, 2.0, 3.0))
    assert crm.upstream.pool == PoolLimits(7, 8.0)
    assert crm.allow == (Allow(("GET", "HEAD"), ("/crm/**",)), Allow(("POST",)))
    assert (crm.replay_body_bytes, crm.agent_safe) == (0, True)
    assert (rest.name, rest.path, rest.credential, rest.upstream.url) == ("/", "/", None, "https://open.example.com")


def test_gate_and_limits_land_in_their_fields() -> None:
    """Each key of the sections that are about the process, with a value that is not the default."""
    config = load_text(
        LONG
        + """
listen: 0.0.0.0:8080
gate:
  expose: true
  hosts: [crm.local]
  origins: [https://app.example.com]
  peer_uids: [1000, 1001]
  socket_mode: "0600"
  require_header: {name: X-Sidecar-Request, value: "true"}
  require_token: {env: API_KEY}
admin: {listen: "0.0.0.0:9000", quit: true}
limits: {connections: 50, replay_memory: 0, head: 8KiB, fields: 20, head_timeout: 1s, idle_timeout: 2s,
  body_idle_timeout: 3s, waiting: 0, wait_for_token: 0}
drain: {lame_duck: 5s, most: 20s}
log: {level: warning, format: json, access: true}
"""
    )
    gate, limits = config.gate, config.limits
    assert (gate.expose, gate.hosts, gate.origins) == (True, ("crm.local",), ("https://app.example.com",))
    assert (gate.peer_uids, gate.socket_mode) == ((1000, 1001), 0o600)
    assert gate.require_header == HeaderRule("X-Sidecar-Request", "true")
    assert gate.require_token == KeyConfig("env", "API_KEY")
    assert (str(config.admin.listen), config.admin.quit) == ("0.0.0.0:9000", True)
    assert (limits.connections, limits.replay_memory_bytes, limits.head_bytes, limits.fields) == (50, 0, 8192, 20)
    assert (limits.head_timeout_s, limits.idle_timeout_s, limits.body_idle_timeout_s) == (1.0, 2.0, 3.0)
    assert (limits.waiting, limits.wait_for_token_s) == (0, 0.0)
    assert (config.drain.lame_duck_s, config.drain.most_s) == (5.0, 20.0)
    assert (config.log.level, config.log.format, config.log.access) == ("warning", "json", True)


def test_a_json_body_keeps_its_types() -> None:
    """Numbers, booleans, null, lists and quoted numbers of a body are what YAML 1.2 says they are; `yes` is a word."""
    body = "{a: 1, b: 1.5, c: true, d: null, e: [x, '7'], f: yes, g: 007, k: '{api_key}'}"
    text = LONG.replace("preset: giantcontext", f"preset: giantcontext\n    exchange: {{json: {body}}}")
    exchange = load_text(text).credentials[0].exchange
    assert exchange is not None
    assert exchange.json == sealed(
        {"a": 1, "b": 1.5, "c": True, "d": None, "e": ["x", "7"], "f": "yes", "g": "007", "k": "{api_key}"}
    )


def test_relative_files_start_at_the_configuration(tmp_path: Path) -> None:
    """Where the process was started does not change which key is read; ~ is the home."""
    from sidecar.config import load

    path = tmp_path / "config.yaml"
    for written, read in (("keys/vendor", f"{tmp_path}/keys/vendor"), ("~/vendor", "/home/app/vendor")):
        path.write_text(LONG.replace("{env: API_KEY}", f"{{file: {written}}}"))
        config = load(path=str(path), flags={}, environ={"HOME": "/home/app"})
        assert config.credentials[0].api_key.name == read


def test_null_is_the_same_as_not_written() -> None:
    """Any key of any kind can be null."""
    text = LONG + "gate:\nlimits: null\nlisten: ~\ndrain: {most: null}\nlog:\n  level:\n"
    config = load_text(text)
    assert (config.gate, config.limits, config.listen, config.drain, config.log) == (
        *(load_text(LONG).gate, load_text(LONG).limits, load_text(LONG).listen),
        *(load_text(LONG).drain, load_text(LONG).log),
    )
