"""Canary keys and tokens, and the servers that know them and do their worst with them."""

from __future__ import annotations

import json

from tests.fakes import Wire, response

# With characters that every encoding treats in its own way.
ENV_KEY = b"gct_Kz7/qP+canary==9Xw"
FILE_KEY = b"Fq3%vault+key/in-file&uD8~"
LITERAL_KEY = b"Lw5=literal?key+Jh2/x0!e"
FIRST_TOKEN = b"Tn1/opaque+token==aB4,r"
SECOND_TOKEN = b"Un9/other%token&~cD7*k"
SECRETS = (ENV_KEY, FILE_KEY, LITERAL_KEY, FIRST_TOKEN, SECOND_TOKEN)

# That of the upstream which answers with it.
TOKEN_FIELD = "X-Canary-Token"

# What the token endpoint does at each path.
BAD_ENDPOINTS = ("echoes", "refuses", "html", "redirects", "no-token", "bad-token", "expired", "cuts")


class CanaryEndpoint:
    """A token endpoint that hands out the first token, then the second, at `/good`, and misbehaves elsewhere."""

    def __init__(self) -> None:
        self._tokens = [FIRST_TOKEN]

    async def __call__(self, wire: Wire) -> None:
        """Play the part on one connection."""
        request = await wire.request()
        kind = request.target.decode().strip("/")
        if kind == "good":
            token = self._tokens.pop() if self._tokens else SECOND_TOKEN
            await wire.send(response(json.dumps({"token": token.decode(), "expires_in": 600}).encode()))
        else:
            await wire.send(misbehaviour(kind, request.head.replace(b"\r\n", b" ") + request.body))


def misbehaviour(kind: str, echo: bytes) -> bytes:
    """Return an answer of the token endpoint that brings no usable token, but secrets."""
    text, token = echo.decode(), FIRST_TOKEN.decode()
    match kind:
        case "echoes":
            return response(echo, f"X-Echo: {text}", status="500 Internal Server Error")
        case "refuses":
            body = json.dumps({"message": f"bad key {text}"}).encode()
            return response(body, f"WWW-Authenticate: Basic realm={text}", status="401 Unauthorized")
        case "html":
            return response(b"<html>" + echo, "Content-Type: text/html")
        case "redirects":
            return response(b"", f"Location: /?{text}", status="302 Found")
        case "no-token":
            return response(json.dumps({"tokn": token, "key": text}).encode())
        case "bad-token":
            return response(json.dumps({"token": f"{token}\r\nX: {text}"}).encode())
        case "expired":
            return response(json.dumps({"token": token, "expires_in": -5}).encode())
        case _:
            return response(echo * 2)[: -len(echo)]


async def canary_upstream(wire: Wire) -> None:
    """Answer with the token in its field, and at `/garbage` with what is no answer and holds the token."""
    while True:
        request = await wire.request()
        token = request.value(TOKEN_FIELD) or b""
        if request.target == b"/garbage":
            await wire.send(b"HTTP/9.9 " + token + b"\r\n" + token + b"\r\n\r\n")
            return
        await wire.send(response(b"fine", f"{TOKEN_FIELD}: {token.decode()}"))
