"""The vendor's own remote control under `/-/`: faults, deeds and the log. It needs no token.

Not part of any vendor's contract. The rule: it hands out no token, and a key only
once, in answer to the request that had it made.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping

from aiohttp import web

from sidecar.secret import Secret
from sidecar.vendor import answers
from sidecar.vendor.faults import KINDS, Faults, WrongFault, read_fault, read_number
from sidecar.vendor.issuer import Issuer
from sidecar.vendor.journal import Journal

_DEEDS = ("revoke_tokens", "regenerate_key", "token_life")
_LONGEST_LIFE_S = 366 * 24 * 3600.0


class Control:
    """The remote control of one vendor.

    Args:
        issuer, faults, journal: what is controlled and shown.
    """

    def __init__(self, issuer: Issuer, faults: Faults, journal: Journal) -> None:
        self._issuer = issuer
        self._faults = faults
        self._journal = journal
        self._usual_life_s = issuer.token_life_s

    def routes(self) -> list[web.RouteDef]:
        """Return the routes, the one for every other path under `/-/` last."""
        return [
            web.get("/-/faults", self._show),
            web.post("/-/faults", self._set),
            web.delete("/-/faults", self._clear),
            web.get("/-/log", self._log),
            web.delete("/-/log", self._forget),
            web.route("*", "/-/{rest:.*}", self._not_found),
        ]

    async def _show(self, _request: web.Request) -> web.Response:
        return web.json_response(self._state())

    async def _set(self, request: web.Request) -> web.Response:
        try:
            wish = json.loads(await request.read())
            if not isinstance(wish, dict):
                raise WrongFault("a JSON object is expected")
            made = self._do(wish) if "do" in wish else self._add(wish)
        except WrongFault as problem:
            return answers.error(400, str(problem))
        except (ValueError, RecursionError):
            return answers.error(400, "not JSON")
        return web.json_response({**self._state(), **made})

    async def _clear(self, _request: web.Request) -> web.Response:
        self._faults.clear()
        self._issuer.token_life_s = self._usual_life_s
        return web.json_response(self._state())

    async def _log(self, _request: web.Request) -> web.Response:
        return web.json_response(self._journal.snapshot())

    async def _forget(self, _request: web.Request) -> web.Response:
        self._journal.clear()
        return web.json_response(self._journal.snapshot())

    async def _not_found(self, _request: web.Request) -> web.Response:
        return answers.error(404, "Known are GET, POST and DELETE /-/faults, GET and DELETE /-/log")

    def _add(self, wish: Mapping[str, object]) -> dict[str, object]:
        self._faults.add(read_fault(wish))
        return {}

    def _do(self, wish: Mapping[str, object]) -> dict[str, object]:
        """Do a deed; return what only the asker may know of it."""
        match wish["do"]:
            case "revoke_tokens":
                self._issuer.revoke_tokens()
            case "token_life":
                life_s = read_number(wish, "token_life_s", 0, 0.1, _LONGEST_LIFE_S)
                self._issuer.token_life_s = life_s
            case "regenerate_key":
                return self._regenerate_key(wish.get("api_key"), wish.get("keep_tokens", False))
            case _:
                raise WrongFault(f'"do" must be one of {", ".join(_DEEDS)}')
        return {}

    def _regenerate_key(self, wanted: object, keep_tokens: object) -> dict[str, object]:
        """Have another key, the one that is wanted or a new one; the old one is dead at once."""
        if not isinstance(keep_tokens, bool):
            raise WrongFault('"keep_tokens" must be true or false')
        if wanted is None:
            made = "gct_" + secrets.token_hex(16)
            self._issuer.replace_key(Secret(made), keep_tokens=keep_tokens)
            return {"api_key": made}
        if not isinstance(wanted, str) or not wanted.isascii() or not wanted.isprintable() or not wanted:
            raise WrongFault('"api_key" must be printable ASCII text')
        self._issuer.replace_key(Secret(wanted), keep_tokens=keep_tokens)
        return {}

    def _state(self) -> dict[str, object]:
        return {
            "faults": self._faults.snapshot(),
            "token_life_s": self._issuer.token_life_s,
            "known": {"token": KINDS["token"], "api": KINDS["api"], "do": _DEEDS},
        }
