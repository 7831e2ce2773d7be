"""What a person can do about an exchange that brought no token, or about a token that is rejected.

One remedy for each cause, and each names what to look at and whom to ask; what happened is
told beside it and is not repeated here. The rule: nobody has to know this program to act on
one, so it names keys of the configuration, commands and people, never parts of the program.

| cause | what happened | who can mend it | until then |
|---|---|---|---|
| key, grant | the endpoint refuses the key | whoever issued the key, or put it there | a slow probe: 60 s to 5 min |
| settings | it refuses what is sent beside the key, or how | the configuration | as its outcome: a probe, or back-off |
| account | it asks for payment | whoever pays | back-off |
| no_key | the key's source cannot be read | whoever deploys | looked for every second where it is watched |
| rate, server | the endpoint's own trouble | the vendor | back-off, and as long as Retry-After says |
| dns, refused, unreachable, cut, slow | the network | whoever runs it | back-off |
| tls_authority, tls_name, tls_dates, tls | it cannot be trusted | its operator, or `exchange.tls` | back-off |
| protocol, redirect, url, page | something else stands at `exchange.url` | the configuration | back-off |
| error_answer, no_token, unfit, expiry | the answer is not as configured | the configuration | back-off |
| clock, slept | this machine's clock | whoever runs the machine | back-off |
| defect | a mistake in this program | us | back-off |
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sidecar.errors import Cause

_FOUND_BY_ITSELF = "; a key that is allowed again is found by itself within 5 min, at once by POST /-/refresh"
_CHANGE_FOUND_BY_ITSELF = "; a change at the vendor is found by itself within 5 min, at once by POST /-/refresh"
_TRIED_AGAIN = "; it is tried again by itself"
# What a key's remedy adds where the key's source is watched, and where it is asked.
USED_AT_ONCE = ": it is used as soon as it is there"
ASKED_AGAIN = ": it is asked again by itself, and at a manual refresh"

# A new token was rejected as well: said of routes, and of the token.
NO_HELP_REASON = "The upstream rejected the newest token that this credential can get."
NO_HELP_REMEDY = (
    "Exchanging again will not help: ask the upstream's administrator to give the key's owner access to what was asked"
    " for (role, scope, project, plan), or check that the credential's key is a valid one for this upstream and that"
    " `inject` puts the token where it is looked for. It ends by itself."
)

_REMEDIES: Mapping[Cause, str] = MappingProxyType(
    {
        "settings": "correct what is sent to the token endpoint beside the key (exchange.form, exchange.json or "
        "exchange.headers: grant type, scope, audience) as the vendor documents it; the key may be good",
        "account": "see to the account's subscription or billing with the vendor",
        "rate": "see whether others use the same key, and ask the vendor for a higher limit if it stays; "
        "the token endpoint is left alone for as long as it asks",
        "server": "look at the vendor's status page, and tell the vendor if it is not there: the trouble is the "
        "token endpoint's own",
        "slow": "see whether the token endpoint is slow (make the exchange with curl) or a firewall drops what is "
        "sent to it; exchange.timeout says how long it is waited for",
        "dns": "check the host in exchange.url for a typing error, and whether this machine can look names up "
        "(resolv.conf, the cluster's DNS, a VPN that is off)",
        "refused": "check host and port in exchange.url, and that the token endpoint is up: nothing listens there",
        "unreachable": "check the network from here to the token endpoint: routes, firewall, network policy",
        "cut": "see what stands between here and the token endpoint (load balancer, firewall) and ends connections, "
        "or whether the endpoint is being restarted",
        "tls_authority": "where the token endpoint's certificate is signed by an authority of your own, name that "
        "in exchange.tls.ca_file; where it is not, somebody else answers in the endpoint's place",
        "tls_name": "compare the host in exchange.url with the names in the certificate that is shown there; "
        "exchange.tls.server_name where another one is right",
        "tls_dates": "check this machine's clock (date -u); where that is right, have the token endpoint's operator "
        "renew its certificate",
        "tls": "check that the port in exchange.url speaks TLS 1.2 or later, and whether it demands a client "
        "certificate (exchange.tls.client_cert_file)",
        "protocol": "check scheme and port in exchange.url: what answers there does not speak HTTP/1.1",
        "redirect": "if you trust the address that it redirects to, put that into exchange.url: a key is never sent "
        "where an answer points",
        "url": "compare exchange.url and exchange.method with the vendor's documentation: there is no token endpoint",
        "page": "check exchange.url: where a token endpoint would send JSON there is a page, such as a login or a "
        "proxy's error",
        "error_answer": "make the exchange with curl and look its error up in the vendor's documentation; if it "
        "means that the key is bad, name its status and text in rejected",
        "no_token": "compare exchange.response.token with an answer of the vendor: the token stands elsewhere",
        "unfit": "make the exchange with curl and compare the answer with exchange.url and exchange.response",
        "expiry": "compare exchange.response.expires_at and expires_in with an answer of the vendor; with null it is "
        "not looked for, and refresh.default_ttl counts",
        "clock": "set this machine's clock (date -u, NTP); if it is right the vendor hands out dead tokens, or calls a "
        "life of 0 endless (then exchange.response.expires_in: null)",
        "slept": "do nothing: the machine slept, or its clock was set, during the exchange",
        "defect": "report this, with the log",
    }
)


def remedy(cause: Cause, key_remedy: str, *, tries_again: bool = True) -> str:
    """Return what a person can do.

    Args:
        cause: why the exchange failed.
        key_remedy: how this credential gets another key.
        tries_again: somebody keeps the credential, so that what passes passes by itself.
    """
    match cause:
        case "key":
            text, then = key_remedy, _FOUND_BY_ITSELF
        case "grant":
            text, then = f"{key_remedy}; where the key signs, check this machine's clock first (date -u)", ""
        case "no_key":
            text, then = f"{key_remedy}; see that it is mounted, and that the user who runs this may read it", ""
        case "settings":
            text, then = _REMEDIES[cause], _CHANGE_FOUND_BY_ITSELF
        case _:
            text, then = _REMEDIES[cause], _TRIED_AGAIN
    return text + then if tries_again else text


def without_promises(text: str) -> str:
    """Return a remedy without what happens by itself, for where nobody keeps the credential any more."""
    for promise in (_FOUND_BY_ITSELF, _CHANGE_FOUND_BY_ITSELF, _TRIED_AGAIN):
        text = text.removesuffix(promise)
    return text.replace(USED_AT_ONCE, "").replace(ASKED_AGAIN, "")
