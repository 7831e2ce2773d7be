"""What a person can do about a request that was refused or failed, where the error itself does not say.

One piece of advice for each reason of `stats.py` and each phase of an upstream's failure. The rule is that of
`credentials/remedies.py`: it names keys of the configuration, commands and people, never parts of the program.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_SENDER = "Look at what sends this: it does not speak plain HTTP/1.1, and was told so."
_SLOWER = "See whether the app or the network stalls; limits.head_timeout and limits.body_idle_timeout say how long."

_ADVICE: Mapping[str, str] = MappingProxyType(
    {
        # Before a route
        "malformed": _SENDER,
        "framing": _SENDER,
        "target": "Have the app send a path that begins with /, or the whole URL of this listener.",
        "host": "Call the listener by its own address, such as http://127.0.0.1:8080, or add the name to gate.hosts.",
        "origin": "If it is a web page of yours, add its origin to gate.origins; if not, it was rightly refused.",
        "head_too_large": "See what makes the head so large (cookies?); limits.head and limits.fields are the bounds.",
        "too_slow": _SLOWER,
        "expect": "Have the app send no expectation but 100-continue.",
        "method": "CONNECT and TRACE are not served: give the app this listener as its base URL, not as a proxy.",
        "http2_preface": "Have the client speak HTTP/1.1: without TLS, HTTP/2 is not spoken here.",
        "require_header": "Have the app send the field that gate.require_header asks for, exactly once.",
        "require_token": "Have the app send Sidecar-Token with the token of gate.require_token.",
        "peer": "Add the user to gate.peer_uids, if it may use the key.",
        "connections": "See which app opens so many; limits.connections is the bound.",
        "descriptors": "Raise the limit of open files (ulimit -n, LimitNOFILE), or lower limits.connections.",
        "no_route": "Compare path and host with the routes below; a route with match.path / takes what is left.",
        # On a route
        "rule": "If it should be allowed, add its method and path to the route's allow.",
        "path": "Have the app send the path plainly, without .. or encoded slashes.",
        "agent_safe": "Nothing: an agent looked for a login, and must not find one here.",
        "no_token": "See the credential above: the token endpoint brings no token.",
        "no_key": "See the credential above: its key cannot be read.",
        "key_rejected": "See the credential above: its key is refused.",
        "rejected": "Give the key's owner access to what was asked for; see the route above for what is known.",
        "budget": "See what rejects tokens so often; refresh.budget bounds the exchanges.",
        "waiting": "See why no token comes (above); limits.waiting bounds those who wait.",
        "stopping": "Send requests to another one: this sidecar stops.",
        "upstream_pool_full": "See whether the upstream is slow; upstream.pool.most is the bound.",
        # An upstream's failures, by phase
        "connect": "Check upstream.url, and that the upstream is up and can be reached from here.",
        "tls": "Check the upstream's certificate; for an authority of your own, set upstream.tls.ca_file.",
        "send": "The upstream took the connection and not the request: see its log.",
        "head": "See the upstream's log; upstream.timeouts.head says how long its answer is waited for.",
        "body": "The upstream ended or stalled within its answer: see its log, and upstream.timeouts.idle.",
    }
)


def advice(reason: str) -> str | None:
    """Return what can be done; None for a reason that is not known here."""
    return _ADVICE.get(reason)
