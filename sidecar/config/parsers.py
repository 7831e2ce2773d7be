"""From the text of one value to the value: addresses, URLs, field names and the like.

Pure functions. Each raises `Unfit` saying what was expected; none repeats what it got.
"""

from __future__ import annotations

import re
import socket

from sidecar.config.units import Unfit
from sidecar.config.values import Address

# RFC 9110 5.6.2
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}", re.ASCII)
_FIELD_VALUE = re.compile(r"[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?", re.ASCII)
_HOST_NAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9_](?:[A-Za-z0-9_-]*)(?:\.[A-Za-z0-9_-]+)*\.?", re.ASCII)
_HOST_PORT = re.compile(r"(\[[^\]]*\]|[^:\[\]]*)(?::(\d{1,5}))?", re.ASCII)
_URL = re.compile(r"(https?)://([^/?#]*)([^?#]*)([?#]?).*", re.ASCII | re.IGNORECASE)
_PATH = re.compile(r"/[\x21-\x7e]*", re.ASCII)
_POINTER = re.compile(r"(?:/(?:[^/~]|~[01])*)*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}", re.ASCII)
_NAME = re.compile(r"[\x21-\x7e]{1,128}", re.ASCII)

# These frame the message or belong to one connection: a rule on one of them would break requests, or smuggle them.
_FRAMING = frozenset(
    "connection content-length host keep-alive proxy-connection te trailer transfer-encoding upgrade".split()
)
# A sun_path holds 108 bytes with its closing NUL.
_LONGEST_SOCKET_PATH = 107


def parse_text(text: str) -> str:
    """Return the text itself: not empty, one line, nothing that is no character."""
    if not text or not text.isprintable():
        raise Unfit("expected text in one line")
    return text


def parse_name(text: str) -> str:
    """Return a name for logs and labels: visible ASCII without spaces."""
    if not _NAME.fullmatch(text):
        raise Unfit("expected a name: at most 128 letters, digits and signs, without spaces")
    return text


def parse_boolean(text: str) -> bool:
    """Return whether it says `true`; anything but `true` and `false` is unfit, `yes` and `on` too."""
    if text not in ("true", "false"):
        raise Unfit("expected true or false")
    return text == "true"


def parse_connections(text: str) -> int | None:
    """Return a number of connections, or None for `auto`."""
    if text == "auto":
        return None
    if not re.fullmatch(r"\d{1,7}", text, re.ASCII) or int(text) < 1:
        raise Unfit("expected auto or a number from 1 to 9,999,999")
    return int(text)


def parse_mode(text: str) -> int:
    """Return a file mode from three octal digits, with or without leading zeros or `0o`."""
    if not re.fullmatch(r"(?:0o)?0?[0-7]{3}", text, re.ASCII):
        raise Unfit('expected a file mode such as "0660"')
    return int(text.removeprefix("0o"), 8)


def parse_variable(text: str) -> str:
    """Return the name of an environment variable."""
    if not _VARIABLE.fullmatch(text):
        raise Unfit("expected the name of an environment variable, such as GIANTCONTEXT_API_KEY")
    return text


def parse_address(text: str) -> Address:
    """Return an address: `127.0.0.1:8080`, `[::1]:8080` or `unix:/run/app.sock`; port 0 is any free one."""
    if text.startswith("unix:"):
        return Address(path=_socket_path(text.removeprefix("unix:")))
    found = _HOST_PORT.fullmatch(text)
    if found is None or found[2] is None or not found[1] or int(found[2]) > 65535:
        raise Unfit("expected an address such as 127.0.0.1:8080, [::1]:8080 or unix:/run/app.sock")
    host = _host(found[1])
    if not host.startswith("["):
        return Address(host, int(found[2]))
    # In its one canonical spelling: what decides on loopback, and on what a Host may say, compares text.
    packed = socket.inet_pton(socket.AF_INET6, host[1:-1])
    if packed.startswith(bytes(10) + b"\xff\xff"):
        raise Unfit("expected an IPv4 address to be written as one, such as 127.0.0.1:8080")
    return Address(socket.inet_ntop(socket.AF_INET6, packed), int(found[2]))


def parse_host(text: str) -> str:
    """Return a host name or address, with a port where one is given."""
    found = _HOST_PORT.fullmatch(text)
    if found is None or int(found[2] or 0) > 65535:
        raise Unfit("expected a host name such as crm.local, without scheme, path or pattern")
    _host(found[1])
    return text


def parse_url(text: str) -> str:
    """Return an http or https URL without user, query and fragment."""
    return "".join(_url_parts(text))


def parse_origin(text: str) -> str:
    """Return scheme://host[:port][/prefix], without a slash at the end."""
    return parse_url(text).rstrip("/")


def parse_browser_origin(text: str) -> str:
    """Return scheme://host[:port], as a browser sends it in `Origin`: in lower case, without the scheme's own port."""
    scheme, authority, path = _url_parts(text)
    if path:
        raise Unfit("expected an origin such as https://app.example.com, without a path")
    return scheme + authority.lower().removesuffix(":80" if scheme == "http://" else ":443")


def is_plain_beyond_loopback(url: str) -> bool:
    """Whether a parsed URL is http to anything but this machine."""
    found = _HOST_PORT.fullmatch(_url_parts(url)[1])
    host = (found[1] if found else "").strip("[]").lower()
    return url.startswith("http:") and not Address(host).is_loopback


def parse_field_name(text: str) -> str:
    """Return a header field's name that a rule may be about."""
    if not _TOKEN.fullmatch(text):
        raise Unfit("expected a header name such as X-Api-Key (letters, digits and -)")
    if text.lower() in _FRAMING:
        raise Unfit("this header frames messages and cannot be set or dropped by a rule")
    return text


def parse_field_value(text: str) -> str:
    """Return a header field's value: visible ASCII, spaces inside only."""
    if not _FIELD_VALUE.fullmatch(text):
        raise Unfit("expected a header value: visible ASCII in one line")
    return text


def parse_injected_value(text: str) -> str:
    """Return a header field's value that holds `{token}`."""
    if "{token}" not in parse_field_value(text):
        raise Unfit('expected a header value that holds {token}, such as "Bearer {token}"')
    return text


def parse_method(text: str) -> str:
    """Return an HTTP method; methods are case-sensitive, and upper case."""
    if not _TOKEN.fullmatch(text) or text != text.upper():
        raise Unfit("expected an HTTP method in capitals, such as GET")
    return text


def parse_prefix(text: str) -> str:
    """Return a path prefix that requests can match: absolute, no query, no pattern, nothing to fold."""
    if "*" in parse_path(text):
        raise Unfit("expected a path prefix such as /crm/, which matches all below it: no * is needed")
    return text


def parse_path(text: str) -> str:
    """Return an absolute path, or a pattern of one: no query, no fragment, no segment that folds."""
    if not _PATH.fullmatch(text) or re.search(r"[?#\\]", text):
        raise Unfit("expected a path such as /crm/, in ASCII, without ? and #")
    if re.search(r"/\.{0,2}/|/\.{1,2}$", text):
        raise Unfit("expected a path without //, /./ and /../")
    return text


def parse_pointer(text: str) -> str:
    """Return a JSON pointer. Source: RFC 6901."""
    if not _POINTER.fullmatch(text):
        raise Unfit("expected a JSON pointer (RFC 6901) such as /access_token")
    return text


def _socket_path(path: str) -> str:
    if not path.startswith("/") or not path.isprintable() or len(path.encode()) > _LONGEST_SOCKET_PATH:
        # An abstract socket (@name) has no file, so no mode: any user of the machine, and in any container that shares
        # its network, could connect.
        raise Unfit(f"expected unix: and an absolute path of at most {_LONGEST_SOCKET_PATH} bytes")
    return path


def _host(text: str) -> str:
    if text.startswith("["):
        if not _is_ip(socket.AF_INET6, text[1:-1]):
            raise Unfit("expected an IPv6 address in the brackets, such as [::1]")
        return text
    # What looks like numbers must be an address: resolvers disagree about 127.1 and 2130706433.
    numeric = not re.search(r"[A-Za-z_][^.]*\.?$", text)
    if not (_is_ip(socket.AF_INET, text) if numeric or text.startswith("127.") else _HOST_NAME.fullmatch(text)):
        raise Unfit("expected a host name or an IP address, an IPv6 one in brackets")
    return text


def _is_ip(family: socket.AddressFamily, text: str) -> bool:
    try:
        socket.inet_pton(family, text)
    except (OSError, ValueError):  # ValueError for a NUL in it
        return False
    return True


def _url_parts(text: str) -> tuple[str, str, str]:
    """Return scheme with `://`, authority and path."""
    found = _URL.fullmatch(text)
    if found is None or not _PATH.fullmatch(f"/{text}") or "\\" in text:
        raise Unfit("expected a URL such as https://api.example.com")
    if "@" in found[2]:
        raise Unfit("expected a URL without user and password; give the key by api_key")
    if found[4]:
        raise Unfit("expected a URL without ? and #")
    host = _HOST_PORT.fullmatch(found[2])
    if host is None or not host[1] or int(host[2] or 1) not in range(1, 65536):
        raise Unfit("expected a URL with a host and, where given, a port from 1 to 65535")
    _host(host[1])
    if re.search(r"/\.{1,2}(?:/|$)", found[3]):
        raise Unfit("expected a URL without /./ and /../")
    return f"{found[1].lower()}://", found[2], found[3]
