"""The configuration as a file with comments: the short form, by the preset that was chosen."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from sidecar.scaffold.choices import NO_PRESET, Choices
from sidecar.scaffold.quoting import yaml_word

# Stands before every line that a person has to fill in.
CHANGE = "CHANGE"

_HEAD = """\
# yaml-language-server: $schema=./config.schema.json
#
# What Sidecar does for one API. Written by `sidecar init`; yours to change.
#
#   sidecar check      says whether it is right; with --exchange, whether the key is, too
#   sidecar run        serves it; `kill -HUP` has a running one read it again
#
# Editors complete and explain each key by the schema in the first line. Every key with its default stands in
# config.example.yaml of the project; several APIs at once are `credentials` and `routes` there.

# Where your apps connect, in plain HTTP{as_url}.
listen: {listen_word}

# The origin that requests go to, with the token on each.
upstream: {upstream}

credential:
"""

_TAIL = """
# Health, metrics, status: `sidecar status` asks here, and http://{admin_listen}/ is a page for people.
admin:
  listen: {admin_listen_word}

# Some of what has a default; take the # away to change it.
# log: {{level: info, access: false}}            # access: true is a line for each request, without query and fields
# drain: {{most: 25s}}                           # how long requests that run have after SIGTERM
# limits: {{wait_for_token: 10s}}                # how long a request waits where there is no token
# gate: {{require_token: {{file: caller-token}}}}  # on a machine with other users: callers send it in Sidecar-Token
"""

_KEYS: Mapping[str, str] = MappingProxyType(
    {
        "file": """\
  # The file that holds the API key, and nothing else: mode 0600. A new key in it is taken up within seconds.
""",
        "env": """\
  # The environment variable that holds the API key. A new key needs a restart; {file: PATH} does not.
""",
        "keyring": """\
  # The entry of this system's keyring that holds the API key: `sidecar login` stores it there.
""",
    }
)

_PRESETS: Mapping[str, str] = MappingProxyType(
    {
        "giantcontext": """\
  # Exchanges the API key at https://api.giantcontext.com/auth/token for a token that lives for some minutes.
  preset: giantcontext
""",
        "oauth2": """\
  # OAuth client credentials (RFC 6749 4.4); the API key is the client's secret.
  preset: oauth2
""",
        "token-exchange": """\
  # Another issuer's token for one of the vendor's (RFC 8693); the API key is that other token.
  preset: token-exchange
""",
        "jwt-bearer": """\
  # The API key is a private key in PEM (RFC 7523): it signs, and is never sent. Needs the extra `sign`.
  preset: jwt-bearer
""",
        "github-app": """\
  # A GitHub app's private key in PEM: it signs, and is never sent. Needs the extra `sign`.
  preset: github-app
""",
        "static": """\
  # The API key is sent as it is: no exchange, no expiry.
  preset: static
""",
        NO_PRESET: "",
    }
)

_EXCHANGES: Mapping[str, str] = MappingProxyType(
    {
        "oauth2": """\
  exchange:
    # CHANGE: the vendor's token endpoint.
    url: https://login.example.com/oauth/token
    # CHANGE: the client's id. Some vendors want it in the form instead:
    # basic: null, and client_id: ... and client_secret: "{api_key}" under form.
    basic: {username: my-client-id}
    # form: {scope: read}
""",
        "token-exchange": """\
  exchange:
    # CHANGE: the vendor's token endpoint.
    url: https://login.example.com/oauth/token
    # CHANGE: for whom the token is; what else the vendor asks for goes here too.
    form: {audience: "https://api.example.com"}
""",
        "jwt-bearer": """\
  exchange:
    # CHANGE: the vendor's token endpoint.
    url: https://login.example.com/oauth/token
    # CHANGE: who signs, and what else the vendor asks for, such as sub or scope.
    sign: {claims: {iss: my-client-id}}
""",
        "github-app": """\
  exchange:
    # CHANGE: the number of the installation, from its address in GitHub's settings.
    url: https://api.github.com/app/installations/12345678/access_tokens
    # CHANGE: the app's client id.
    sign: {claims: {iss: Iv23exampleClientId}}
""",
        NO_PRESET: """\
  exchange:
    # CHANGE: the vendor's token endpoint, and how it wants the key: json, form, basic or headers.
    url: https://api.example.com/v1/token
    json: {apiKey: "{api_key}"}
    # CHANGE: where in the answer (JSON) the token is, and for how many seconds it is valid, or until when (expires_at).
    response: {token: /token, expires_in: /expires_in}
  # Where the token goes; this is the default.
  inject: {header: Authorization, value: "Bearer {token}"}
""",
    }
)


def config_text(choices: Choices) -> str:
    """Return the file."""
    key = f"  api_key: {{{choices.key.kind}: {yaml_word(choices.key.name)}}}\n"
    as_url = "" if choices.listen.startswith("unix:") else f": their base URL is http://{choices.listen}"
    head = _HEAD.format(as_url=as_url, listen_word=yaml_word(choices.listen), upstream=yaml_word(choices.origin))
    tail = _TAIL.format(admin_listen=choices.admin_listen, admin_listen_word=yaml_word(choices.admin_listen))
    preset, exchange = _PRESETS[choices.preset], _EXCHANGES.get(choices.preset, "")
    return head + preset + _KEYS[choices.key.kind] + key + exchange + tail


def lines_to_change(text: str) -> list[int]:
    """Return the numbers of the lines that say what a person has to change."""
    return [number for number, line in enumerate(text.splitlines(), 1) if re.match(rf"\s*# {CHANGE}:", line)]
