"""Every key of the configuration: its kind, its default, what it does. Reader and JSON Schema both follow this table.

A new key is one line here, one field in its value, and one line in `config.example.yaml`.
"""

from __future__ import annotations

from functools import partial

from sidecar.config import section_checks as checks
from sidecar.config.common_keys import (
    ADDRESS,
    BOOLEAN,
    CONNECTIONS,
    DURATION,
    FIELD_NAME,
    FIELD_VALUE,
    MODE,
    NAME,
    POSITIVE,
    POSITIVE_SIZE,
    SIZE,
    TLS,
)
from sidecar.config.credential_keys import CREDENTIAL
from sidecar.config.draft import Draft
from sidecar.config.key_source_keys import KEY_SOURCE
from sidecar.config.kinds import Choice, Either, Key, ListOf, Named, Rows, Section, Short, Word, whole
from sidecar.config.parsers import (
    parse_browser_origin,
    parse_host,
    parse_method,
    parse_name,
    parse_origin,
    parse_path,
    parse_prefix,
)
from sidecar.config.values import (
    AdminConfig,
    DrainConfig,
    GateConfig,
    LimitsConfig,
    LogConfig,
    RouteConfig,
    UpstreamConfig,
)
from sidecar.dataplane.limits import PoolLimits, Timeouts
from sidecar.gate import HeaderRule
from sidecar.routes import Allow

UPSTREAM = Short(
    Section(
        UpstreamConfig,
        (
            Key("url", Word(parse_origin), None, "scheme://host[:port][/prefix] of the origin.", required=True),
            Key("host_header", Word(parse_host), None, "The Host to send instead of the URL's."),
            Key("tls", TLS, None, "How its certificate is verified, and what is shown."),
            Key(
                "timeouts",
                Section(
                    Timeouts,
                    (
                        Key("connect", POSITIVE, "5s", "The longest a connection may take, with TLS."),
                        Key("head", POSITIVE, "60s", "The longest wait for the head of a response."),
                        Key("idle", POSITIVE, "60s", "The longest silence within a response's body, or in a tunnel."),
                    ),
                ),
                None,
                "How long each phase of a request may take.",
            ),
            Key(
                "pool",
                Section(
                    PoolLimits,
                    (
                        Key("most", whole(1, 65535), 256, "The most connections to this upstream at a time."),
                        Key("idle", POSITIVE, "90s", "How long an idle connection is kept."),
                    ),
                ),
                None,
                "The connections that are kept for reuse.",
            ),
            Key(
                "insecure",
                BOOLEAN,
                False,
                "Allow plain http to another machine. Danger: the token can be read on the way; warned about.",
            ),
        ),
        expected="a URL, or a mapping with url",
        check=checks.check_upstream,
    ),
    "url",
)

ROUTE = Section(
    partial(RouteConfig, name=""),
    (
        Key("name", Word(parse_name), None, "The name in metrics, logs and status; without it, the path."),
        Key(
            "match",
            Section(
                dict[str, object],
                (
                    Key("path", Word(parse_prefix), "/", "The path prefix; the longest wins, on segment boundaries."),
                    Key("host", Word(parse_host), None, "The Host that it is for; without it, any."),
                ),
            ),
            None,
            "Which requests it is for.",
            field="",
        ),
        Key("upstream", UPSTREAM, None, "The origin to forward to: a URL, or a mapping with url.", required=True),
        Key("strip_prefix", BOOLEAN, False, "Take match.path off before forwarding."),
        Key("credential", NAME, None, "Whose token is put on; without it, none is."),
        Key(
            "allow",
            ListOf(
                Section(
                    Allow,
                    (
                        Key("methods", ListOf(Word(parse_method)), [], "Methods; none listed is all."),
                        Key("paths", ListOf(Word(parse_path)), [], "Paths; ** is anything; none listed is all."),
                    ),
                )
            ),
            [],
            "What is allowed; none listed is everything.",
        ),
        Key(
            "replay_body",
            SIZE,
            "1MiB",
            "The most of a request's body kept for a replay. Danger: memory, per request, up to limits.replay_memory.",
        ),
        Key("agent_safe", BOOLEAN, False, "Never show an app an OAuth challenge, so that agents start no login."),
    ),
)

GATE = Section(
    GateConfig,
    (
        Key("expose", BOOLEAN, False, "Allow to listen beyond loopback. Danger: whoever reaches it uses your key."),
        Key("hosts", ListOf(Word(parse_host)), [], "More Host names to admit, exactly."),
        Key("origins", ListOf(Word(parse_browser_origin)), [], "Origins to admit. Danger: their scripts use your key."),
        Key("peer_uids", ListOf(whole(0, 2**32 - 2)), [], "User ids that may use unix listeners; none: all."),
        Key("socket_mode", MODE, "0660", "The file mode of unix listeners. Danger: 0666 lets every user in."),
        Key(
            "require_header",
            Section(
                HeaderRule,
                (
                    Key("name", FIELD_NAME, None, "The field's name.", required=True),
                    Key("value", FIELD_VALUE, None, "Its value, exactly.", required=True),
                ),
            ),
            None,
            "A field that every request must carry.",
        ),
        Key("require_token", KEY_SOURCE, None, "A source of a token that callers must send in Sidecar-Token."),
    ),
)

ADMIN = Section(
    AdminConfig,
    (
        Key("listen", ADDRESS, "127.0.0.1:8081", "Where it listens; beyond loopback, health and metrics alone."),
        Key("quit", BOOLEAN, False, "Allow POST /-/quit. Danger: whoever reaches it stops the sidecar."),
    ),
)

LIMITS = Section(
    LimitsConfig,
    (
        Key("connections", CONNECTIONS, "auto", "The most; auto: half of the open-file limit, at most 10,000."),
        Key("replay_memory", SIZE, "32MiB", "The most kept of all bodies together for replays."),
        Key("head", POSITIVE_SIZE, "64KiB", "The largest head of a message."),
        Key("fields", whole(1, 10_000), 100, "The most fields in a head."),
        Key(
            "head_timeout",
            POSITIVE,
            "10s",
            "The longest for an app to send a head, and on a new connection to begin.",
        ),
        Key("idle_timeout", POSITIVE, "75s", "How long an idle connection of an app is kept."),
        Key(
            "body_idle_timeout",
            POSITIVE,
            "60s",
            "The longest silence within a body; a sized one has to bring 1 KiB.",
        ),
        Key("waiting", whole(0, 1_000_000), 1000, "The most requests that wait for a token at a time."),
        Key("wait_for_token", DURATION, "10s", "The longest a request waits for a token before it gets 503."),
    ),
)

DRAIN = Section(
    DrainConfig,
    (
        Key("lame_duck", DURATION, "0s", "How long it still accepts after SIGTERM while it says not ready."),
        Key("most", DURATION, "25s", "The longest wait for what runs. Danger: keep it below the pod's grace period."),
    ),
)

LOG = Section(
    LogConfig,
    (
        Key("level", Choice(("debug", "info", "warning", "error")), "info", "The least that is written."),
        Key("format", Choice(("auto", "console", "json")), "auto", "auto: json unless on a terminal."),
        Key("access", BOOLEAN, False, "One line per request."),
    ),
)

LISTENER = Either(
    ADDRESS,
    Section(
        checks.listener,
        (
            Key("address", ADDRESS, None, "Where it listens.", required=True),
            Key("mode", Choice(("reverse", "forward")), "reverse", "forward: a proxy, for apps' http_proxy."),
        ),
        expected="an address, or a mapping with address and mode",
    ),
)

ROOT = Section(
    Draft,
    (
        Key("listen", Rows(LISTENER, single=True), "127.0.0.1:8080", "Where apps connect: one listener or a list."),
        Key("gate", GATE, None, "Who may use the listeners."),
        Key("upstream", UPSTREAM, None, "Short form: the one origin. Without it, the preset's API."),
        Key("credential", CREDENTIAL, None, "Short form: the one credential."),
        Key("credentials", Named(CREDENTIAL), None, "Long form: credentials by name."),
        Key("routes", Rows(ROUTE), None, "Long form: what goes where, with whose token."),
        Key("admin", ADMIN, None, "The admin listener: health, metrics and status."),
        Key("limits", LIMITS, None, "Bounds on what apps can make the sidecar hold."),
        Key("drain", DRAIN, None, "How a stop goes."),
        Key("log", LOG, None, "What is written to standard error."),
        Key("fail_fast", BOOLEAN, False, "End with code 1 where a credential's first exchange fails at the start."),
    ),
    expected="keys with values, such as listen: 127.0.0.1:8080",
)
