"""Rules within one section, among values that are right by themselves. Each yields a key of the section and a text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

from sidecar.config.parsers import is_plain_beyond_loopback
from sidecar.config.units import Unfit
from sidecar.config.values import Address, CredentialConfig, UpstreamConfig
from sidecar.credentials.rules import BasicAuth, ExchangeRules, RefreshRules, SignRules
from sidecar.tls import TLSRules, client_context

Found = Iterator[tuple[str, str]]

_PLAIN = "plain http shows every {what} to whoever is on the way: use https, or set insecure: true here"


def listener(address: Address, mode: Literal["reverse", "forward"] = "reverse") -> Address:
    """Return an address with what is spoken there. Raises Unfit."""
    if mode == "forward" and address.path is not None:
        raise Unfit("a forward proxy needs a host and a port: http_proxy knows no unix sockets")
    return replace(address, mode=mode)


def check_exchange(exchange: ExchangeRules) -> Found:
    """One body, the key or what it signs somewhere in it, nothing left to fill in, no plain http to another machine."""
    if exchange.json is not None and exchange.form is not None:
        yield "form", "json and form are both given; a request has one body"
    if "{api_key}" in exchange.url or "{assertion}" in exchange.url:
        yield "url", "an API key in a URL ends in logs: send it in headers, json, form or basic"
    elif left := re.search(r"\{[a-z_]{1,32}\}", exchange.url):
        yield "url", f"not whole yet: write {exchange.url} with what it is in your case instead of {left[0]}"
    if exchange.sign is not None and not exchange.sign.claims.get("iss"):
        # Here, so that it is said together with a URL that is not whole.
        yield "sign.claims.iss", "missing: who signs, by the name that the vendor knows, such as your client's id"
    yield from _check_placeholders(exchange)
    names = [name.lower() for name, _ in exchange.headers]
    if len(set(names)) < len(names):
        yield "headers", "the same header stands here twice; a preset's is replaced by one in its own spelling"
    if exchange.method == "GET" and (exchange.json is not None or exchange.form is not None):
        yield "method", "a GET carries no body, and json or form is given"
    if is_plain_beyond_loopback(exchange.url) and not exchange.insecure:
        yield "url", _PLAIN.format(what="API key")


def _check_placeholders(exchange: ExchangeRules) -> Found:
    if exchange.sign is None:
        if exchange.sends("{assertion}"):
            yield "sign", "missing: what {assertion} says and how it is signed, such as {claims: {iss: my-client}}"
        elif not exchange.sends("{api_key}"):
            yield "", "nothing here sends the API key: put {api_key} into headers, json, form or basic"
    elif exchange.sends("{api_key}"):
        yield "sign", "makes the API key a private key, which is never sent: put {assertion} in place of {api_key}"
    elif not exchange.sends("{assertion}"):
        yield "", "nothing here sends what is signed: put {assertion} into headers, json, form or basic"


def check_basic(basic: BasicAuth) -> Found:
    """A user name that does not end before its end. Source: RFC 7617 2."""
    if ":" in basic.username and not basic.form_encoded:
        yield "username", "a colon ends a user name: OAuth's client ids may hold one with form_encoded: true"


def check_sign(sign: SignRules) -> Found:
    """Claims that are the user's to give, texts where JWT has texts, and what signing needs to be installed."""
    from sidecar.credentials.assertion import MISSING, can_sign  # what does not sign does not need it

    for name in ("iss", "sub", "aud", "jti"):
        value = sign.claims.get(name)
        several = name == "aud" and isinstance(value, list) and all(isinstance(item, str) for item in value)
        if not several and not isinstance(value, str | None):
            yield f"claims.{name}", "expected a text"
    for name in ("iat", "exp", "nbf"):
        if sign.claims.get(name) is not None:
            yield "claims", f"{name} is set anew for each assertion: use life and backdate"
    if sign.claims.get("jti") is not None:
        yield "claims", "jti is made anew for each assertion, so that none is taken for a copy; null leaves it out"
    for name, _ in sign.headers:
        if name in ("alg", "b64", "crit"):
            yield "headers", "alg is set by exchange.sign.alg; b64 and crit are not available"
    if not can_sign():
        yield "", MISSING


def check_upstream(upstream: UpstreamConfig) -> Found:
    """No plain http to another machine."""
    if is_plain_beyond_loopback(upstream.url) and not upstream.insecure:
        yield "url", _PLAIN.format(what="token")


def check_tls(tls: TLSRules) -> Found:
    """A client key belongs to a client certificate, and the files hold what they should."""
    if tls.client_key_file and not tls.client_cert_file:
        yield "client_key_file", "a client key without client_cert_file is never used"
    elif tls.ca_file or tls.client_cert_file:
        try:
            client_context(tls)
        except OSError:
            yield (
                "",
                "expected PEM files, and a key without a password that fits its certificate",
            )


def check_refresh(refresh: RefreshRules) -> Found:
    """The first back-off is not longer than the longest."""
    if refresh.backoff_first_s > refresh.backoff_most_s:
        yield "backoff", "expected first to be no longer than most"


def check_credential(credential: CredentialConfig) -> Found:
    """An exchange, unless the key itself is meant to be the token."""
    if credential.preset == "static":
        if credential.exchange is not None:
            yield "exchange", "preset static makes no exchange: take one of the two away"
    elif credential.exchange is None:
        yield (
            "exchange",
            "missing: how the key becomes a token; give exchange, or preset: static to send the key itself",
        )
