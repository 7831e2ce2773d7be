"""The vendor's SDK, OpenAI's, Anthropic's, MCP's and a WebSocket client in one app, run by `sidecar exec`.

In the suite the vendor's and the WebSocket client; the others too, which `tests/clients` has by `sidecar run`, where
`SIDECAR_LONG` is set.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.clients.llm_api import WORDS, LlmApi
from tests.clients.stand import serving
from tests.clients.websocket_servers import PythonServer
from tests.exec.executing import command_line, started, written
from tests.main_job.canary import found

KEY = "gct_Zq81xVt5-canary-Wm30Rk77"
APP = Path(__file__).with_name("unmodified_app.py")
PATIENCE_S = 30.0
# What each client reads, besides what the preset knows.
VARIABLES = {
    "OPENAI_BASE_URL": "{url}/llm/v1",
    "OPENAI_API_KEY": "{placeholder}",
    "ANTHROPIC_BASE_URL": "{url}/llm",
    "ANTHROPIC_API_KEY": "{placeholder}",
    "MCP_URL": "{url}/mcp",
    "WS_URL": "ws://{host}/ws/talk",
}


def configuration(issuer_url: str, **upstreams: str) -> dict[str, Any]:
    """Return a configuration with one credential for all upstreams."""
    exchange = {
        "url": f"{issuer_url}/token",
        "response": {"token": "/token", "expires_at": None, "expires_in": "/expires_in"},
    }
    credential = {"preset": "giantcontext", "api_key": {"env": "CANARY"}, "exchange": exchange}
    routes = [
        {"match": {"path": path}, "upstream": url, "credential": "gc", "strip_prefix": path == "/llm/"}
        for path, url in {"/": issuer_url, **{f"/{name}/": url for name, url in upstreams.items()}}.items()
    ]
    return {"credentials": {"gc": credential}, "routes": routes}


# What each gets.
GOT = {
    "giantcontext": "/me/organizations?page=1",
    "websockets": "welcome, Bearer token-1",
    "openai": "".join(WORDS),
    "anthropic": "".join(WORDS),
    "mcp": ["announce", "count"],
}


# All of them load 10 s of SDKs.
CLIENTS = tuple(GOT) if os.environ.get("SIDECAR_LONG") else ("giantcontext", "websockets")


async def test_each_gets_its_answer_and_none_has_the_key(tmp_path: Path) -> None:
    """One exchange for all of them; the vendor's SDK makes its own here, with a placeholder; no warning is said."""
    with ExitStack() as stack:
        issuer = stack.enter_context(serving())
        api = stack.enter_context(LlmApi(KEY).serving())
        sockets = stack.enter_context(PythonServer().serving())
        upstreams = {"llm": api.url, "ws": f"http://127.0.0.1:{sockets.port}"}
        if "mcp" in CLIENTS:
            from tests.clients.mcp_server import McpServer

            upstreams["mcp"] = stack.enter_context(McpServer().serving()).url
        flags = tuple(word for pair in VARIABLES.items() for word in ("--env", "=".join(pair)))
        file = written(tmp_path, configuration(issuer.url, **upstreams))
        words = command_line(file, sys.executable, str(APP), *CLIENTS, flags=flags)
        with started(words, {"CANARY": KEY}, stdin=subprocess.PIPE) as process:
            assert process.stdout is not None
            line = await asyncio.to_thread(process.stdout.readline)
            assert line, await asyncio.to_thread(process.communicate)
            got = json.loads(line)
            seen = Path(f"/proc/{got.pop('pid')}/environ")
            environ = seen.read_bytes() if seen.exists() else b""
            _, err = await asyncio.to_thread(process.communicate, timeout=PATIENCE_S)
    assert (process.returncode, err.decode()) == (0, "")
    assert got == {name: GOT[name] for name in CLIENTS}
    assert issuer.exchanges == 1
    assert {kept["authorization"] for kept in issuer.kept_back} == {"Bearer token-1"}
    assert set(api.seen) <= {("Bearer token-1", None)}
    assert found([KEY.encode()], environ) == []
