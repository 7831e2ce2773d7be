"""Addresses, URLs, field names and the like: what is one, and what is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.config import parsers
from sidecar.config.units import Unfit
from sidecar.config.values import Address

_GOOD: list[tuple[Callable[[str], object], str, object]] = [
    (parsers.parse_address, "127.0.0.1:8080", Address("127.0.0.1", 8080)),
    (parsers.parse_address, "[::1]:0", Address("::1", 0)),
    (parsers.parse_address, "localhost:1", Address("localhost", 1)),
    (parsers.parse_address, "unix:/run/app.sock", Address(path="/run/app.sock")),
    (parsers.parse_origin, "https://api.example.com/", "https://api.example.com"),
    (parsers.parse_origin, "HTTP://api_1:8080/v1/", "http://api_1:8080/v1"),
    (parsers.parse_url, "https://[::1]:8443/a/", "https://[::1]:8443/a/"),
    (parsers.parse_browser_origin, "https://App.example.com", "https://app.example.com"),
    (parsers.parse_browser_origin, "https://app.example.com:443", "https://app.example.com"),
    (parsers.parse_browser_origin, "http://app.example.com:443", "http://app.example.com:443"),
    (parsers.parse_host, "crm.local", "crm.local"),
    (parsers.parse_host, "crm.local:8080", "crm.local:8080"),
    (parsers.parse_field_name, "X-Api-Key", "X-Api-Key"),
    (parsers.parse_field_value, "a b", "a b"),
    (parsers.parse_injected_value, "Bearer {token}", "Bearer {token}"),
    (parsers.parse_method, "PROPFIND", "PROPFIND"),
    (parsers.parse_prefix, "/crm/", "/crm/"),
    (parsers.parse_path, "/crm/**", "/crm/**"),
    (parsers.parse_path, "/.well-known/a..b", "/.well-known/a..b"),
    (parsers.parse_pointer, "/a~1b/~0/0", "/a~1b/~0/0"),
    (parsers.parse_mode, "0660", 0o660),
    (parsers.parse_mode, "0o600", 0o600),
    (parsers.parse_mode, "660", 0o660),
    (parsers.parse_connections, "auto", None),
    (parsers.parse_connections, "12", 12),
    (parsers.parse_boolean, "false", False),
    (parsers.parse_name, "/crm/", "/crm/"),
    (parsers.parse_variable, "API_KEY", "API_KEY"),
]
_BAD: dict[Callable[[str], object], list[str]] = {
    parsers.parse_address: [
        *("", "8080", ":8080", "127.0.0.1", "127.0.0.1:65536", "::1:80", "[::1]", "[::g]:80", "a b:80", "127.1:80"),
        *(
            "127.evil.com:80",
            "2130706433:80",
            "256.0.0.1:80",
            "unix:",
            "unix:run/a",
            "unix:/" + "a" * 107,
            "http://a:1",
        ),
    ],
    parsers.parse_url: [
        *("", "api.example.com", "ftp://a", "https://", "https:///a", "https://a b", "https://user:pw@a", "https://@a"),
        *("https://a?b", "https://a#b", "https://a/../b", "https://a:0", "https://a:99999", "https://a:b", "https://ä"),
        *("https://a\\b", "https://a\n", "https://[::1", "//a"),
    ],
    parsers.parse_browser_origin: ["*", "null", "https://a/", "https://a/b", "a"],
    parsers.parse_host: ["", "*", "*.local", "a/b", "https://a", "a b", "a:99999", "[x]"],
    parsers.parse_field_name: ["", "X Api", "X:", "Host", "content-length", "Transfer-Encoding", "Connection", "ä"],
    parsers.parse_field_value: ["", " a", "a ", "a\r\nb", "a\0", "ä"],
    parsers.parse_injected_value: ["Bearer", "{Token}", "{token}\n"],
    parsers.parse_method: ["", "get", "GET POST"],
    parsers.parse_prefix: [
        "",
        "crm",
        "/crm/*",
        "/a?b",
        "/a#b",
        "/a//b",
        "/../a",
        "/a/..",
        "/a/./b",
        "/ä",
        "/a b",
        "/a\\b",
    ],
    parsers.parse_pointer: ["token", "/a~2", "a/b", "/~"],
    parsers.parse_mode: ["", "0888", "66", "rw", "06600"],
    parsers.parse_connections: ["0", "-1", "Auto", "1.5", "10000000"],
    parsers.parse_boolean: ["yes", "on", "1", "True", ""],
    parsers.parse_name: ["", "a b", "a\n", "ä", "a" * 129],
    parsers.parse_variable: ["", "1A", "A-B", "A B"],
    parsers.parse_text: ["", "a\nb", "\0"],
}


@pytest.mark.parametrize(("parse", "text", "value"), _GOOD)
def test_what_fits_is_read(parse: Callable[[str], object], text: str, value: object) -> None:
    """Each form that the documentation shows, and its edges."""
    assert parse(text) == value


@pytest.mark.parametrize(("parse", "text"), [(parse, text) for parse, texts in _BAD.items() for text in texts])
def test_what_does_not_fit_is_refused(parse: Callable[[str], object], text: str) -> None:
    """What could break a request, or mean two things, is unfit."""
    with pytest.raises(Unfit):
        parse(text)


@given(st.sampled_from(sorted(_BAD, key=lambda parse: parse.__name__)), st.text(max_size=30))
def test_no_text_breaks_a_parser(parse: Callable[[str], object], text: str) -> None:
    """Any text at all is a value, or unfit with words of ours alone."""
    for marked in (text, f"zq{text}", f"{text}zq"):
        try:
            parse(marked)
        except Unfit as unfit:
            assert "zq" not in str(unfit)


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("https://api.example.com", False),
        ("http://127.0.0.1:80/a", False),
        ("http://localhost", False),
        ("http://[::1]:80", False),
        ("http://api.example.com", True),
        ("http://10.0.0.1", True),
        ("http://[::2]", True),
    ],
)
def test_plain_http_beyond_loopback_is_seen(url: str, plain: bool) -> None:
    """Only http to another machine is plain beyond loopback."""
    assert parsers.is_plain_beyond_loopback(url) is plain
