"""Agents: MCP clients, which hand what they are told to a model, and begin an OAuth login wherever they see cause.

The login would be with the sidecar, which has none: it would end in a browser's error page, and
the model's user would be told to log in to what they cannot log in to. So on an agent-safe route
nothing says that there is one, and our own answers come in the form that such a client reads.

| what begins a login | and what becomes of it |
|---|---|
| a 401, with `WWW-Authenticate` or without | ours are never one; the upstream's becomes a 502 or 503 with words |
| a 403 whose `WWW-Authenticate` says `insufficient_scope` | relayed without that field (`route.py`) |
| OAuth's metadata and fall-back paths | 404 (`routes.py`) |

A client of streamable HTTP asks by POST for JSON and an event stream, and reads of an answer from
400 on the error of JSON-RPC, where it is one; else its user hears that the server returned an error.

Source: MCP 2025-11-25, transports and authorization; RFC 6750 3; JSON-RPC 2.0 5.1.
"""

from __future__ import annotations

import asyncio
import json

from sidecar.credentials.remedies import NO_HELP_REMEDY
from sidecar.credentials.status import CredentialStatus
from sidecar.credentials.token import Token
from sidecar.dataplane.flow import Body
from sidecar.errors import Answerable, UpstreamError
from sidecar.messages import RequestHead
from sidecar.problem import content_of, rendered

# Of an upstream's answer that is looked at for words; such answers have some hundred bytes.
MOST_ANSWER_BYTES = 16 * 1024
# Such a body comes with its head, or soon after; one that does not is no reason to keep the agent waiting.
PATIENCE_S = 1.0
MOST_WORDS = 300
# So many characters of a token in a row are part of a secret, however it was cut, wrapped or spelt.
_SECRET_CHARS = 8
_ACCEPT = frozenset((b"accept",))
_BOTH = (b"application/json", b"text/event-stream")
# Where APIs put the text of an error: RFC 6749 5.2, RFC 9457 3.1, and custom.
_TEXTS = ("error_description", "detail", "message", "title", "error")
_SERVER_ERROR = -32000  # JSON-RPC 2.0 5.1: for implementations to define, up to -32099
_SOON_S = 1.0


class ChallengeHidden(Answerable):
    """The upstream's 401 stays one, and the app is an agent: it is told in words.

    Not 401, which begins a login; nor 403 or 407, which say that the app lacks something, and for which later clients
    look for a way to get it. The app has done nothing wrong: the credential behind it, which is ours, was not taken.
    That is a gateway's 502 (RFC 9110 15.6.3), and a 503 where another try may well find another token.

    Args:
        credential: whose token was not taken, None where the route has none.
        tried: whether a 401 has the route try another token.
        theirs: the upstream's own words, or "".
    """

    status: int = 502  # type: ignore[misc]  # narrowed per instance: 502, 503
    title = "Rejected by the upstream"
    code = "proxy_configuration_error"

    def __init__(self, credential: CredentialStatus | None, *, tried: bool, theirs: str = "") -> None:
        passes = credential is not None and tried and not credential.hopeless_for_s
        detail, remedy = _why(credential, passes)
        super().__init__(detail, reason="rejected", retry_after_s=_SOON_S if passes else None, remedy=remedy)
        self.status = 503 if passes else 502
        self.received_status = 401
        self.theirs = theirs


def _why(credential: CredentialStatus | None, passes: bool) -> tuple[str, str | None]:
    """Return what happened, and what can be done."""
    if credential is None:
        happened = "the upstream answers 401 to a request without a token, and this route has no credential"
        return happened, "name a credential on this route, whose key the upstream knows"
    happened = f"the upstream answers 401 to the token of credential {credential.name}"
    if not passes:
        return f"{happened}, and exchanging again does not help", NO_HELP_REMEDY
    if credential.error is not None:
        return f"{happened}, and there is no other: {credential.error}", credential.remedy
    return happened, "try again in a moment: another token is on its way"


def reads_json_rpc(head: RequestHead) -> bool:
    """Whether a request is one that a client of streamable HTTP makes: it will read the error of JSON-RPC."""
    if head.method != b"POST":
        return False
    head.fields.find(_ACCEPT)
    accepted = b",".join(head.fields.values(b"accept")).lower()
    return all(kind in accepted for kind in _BOTH)


def json_rpc_error(error: Answerable, *, close: bool) -> bytes:
    """Return the bytes of the whole answer to such a request.

    Its `id` is null: the request was not read (JSON-RPC 2.0 5). Clients know by the answer's connection whose it is.

    Args:
        error: what happened.
        close: whether the connection ends after it.
    """
    data = content_of(error)
    message = f"sidecar: {data['message']}"
    if error.theirs:
        message += f" The upstream says: {error.theirs}"
    content = {"jsonrpc": "2.0", "id": None, "error": {"code": _SERVER_ERROR, "message": message, "data": data}}
    return rendered(error, content, "application/json", close=close)


async def words_of(answer: Body | bytes, *tokens: Token | None) -> str:
    """Return what an answer of the upstream's says in words, in one line; "" for nothing.

    Args:
        answer: its body; one that is large, or not whole within `PATIENCE_S`, has none.
        tokens: those that were sent: what repeats a part of one is not passed on, least of all to a model.
    """
    if isinstance(answer, Body):
        if answer.length is not None and answer.length > MOST_ANSWER_BYTES:
            return ""
        try:
            async with asyncio.timeout(PATIENCE_S):
                await answer.finished()
        except (UpstreamError, TimeoutError):
            return ""
        answer = b"".join(answer.held)
    if len(answer) > MOST_ANSWER_BYTES:
        return ""
    text = _text_of(answer)
    words = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    words = words if len(words) <= MOST_WORDS else words[: MOST_WORDS - 3] + "..."
    return "" if any(token and _tells(words, token) for token in tokens) else words


def _tells(words: str, token: Token) -> bool:
    """Whether words hold a part of a token: a server may show its beginning alone, or JSON write it with escapes."""
    secret = token.secret.reveal().decode("latin-1")
    size = min(_SECRET_CHARS, len(secret))
    return any(words[at : at + size] in secret for at in range(len(words) - size + 1))


def _text_of(content: bytes) -> str:
    """Return the text of an error: a member of JSON that is known to hold it, or plain text; a page has none."""
    try:
        text = content.decode()
        said = json.loads(text)
    except UnicodeDecodeError:
        return ""
    except (ValueError, RecursionError):
        return "" if "<" in content.decode() else content.decode()
    if isinstance(said, str):
        return said
    inner = said.get("error") if isinstance(said, dict) else None
    for members in (said, inner):
        if isinstance(members, dict):
            for name in _TEXTS:
                if isinstance(members.get(name), str):
                    return str(members[name])
    return ""
