"""Rules within one section, among values that are right by themselves. Each yields a key of the section and a text."""

from __future__ import annotations

from collections.abc import Iterator

from sidecar.config.parsers import is_plain_beyond_loopback
from sidecar.config.values import CredentialConfig, UpstreamConfig
from sidecar.credentials.rules import ExchangeRules, RefreshRules
from sidecar.tls import TLSRules, client_context

Found = Iterator[tuple[str, str]]

_PLAIN = "plain http shows every {what} to whoever is on the way: use https, or set insecure: true here"


def check_exchange(exchange: ExchangeRules) -> Found:
    """One body, the key somewhere in it, and no plain http to another machine."""
    if exchange.json is not None and exchange.form is not None:
        yield "form", "json and form are both given; a request has one body"
    if "{api_key}" in exchange.url:
        yield "url", "an API key in a URL ends in logs: send it in headers, json, form or basic"
    if not exchange.sends("{api_key}"):
        yield "", "nothing here sends the API key: put {api_key} into headers, json, form or basic"
    if exchange.method == "GET" and (exchange.json is not None or exchange.form is not None):
        yield "method", "a GET carries no body, and json or form is given"
    if is_plain_beyond_loopback(exchange.url) and not exchange.insecure:
        yield "url", _PLAIN.format(what="API key")


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
