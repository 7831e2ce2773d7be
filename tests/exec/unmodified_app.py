"""An app that knows nothing of a sidecar: each client is made as its documentation has it, from the environment.

Its arguments say which clients. Says in one line of JSON what each has got, and its own process id; ends with its
standard input.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable

MODEL = "a-model"


async def by_giantcontext() -> str:
    """The vendor's own SDK, which exchanges its key itself."""
    from giantcontext import create_giant_context

    client = create_giant_context(os.environ["GIANTCONTEXT_API_KEY"], os.environ["GIANTCONTEXT_BASE_URL"])
    answers = [await client.me.list_my_organizations(page="1") for _ in range(2)]
    return str(answers[1]["target"])


def by_openai() -> str | None:
    """OpenAI's SDK."""
    import openai

    with openai.OpenAI() as client:
        answer = client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "count"}])
        return answer.choices[0].message.content


def by_anthropic() -> str | None:
    """Anthropic's SDK."""
    import anthropic

    with anthropic.Anthropic() as client:
        message = client.messages.create(model=MODEL, max_tokens=9, messages=[{"role": "user", "content": "count"}])
        return "".join(block.text for block in message.content if block.type == "text")


async def by_mcp() -> list[str]:
    """The MCP SDK's client."""
    from mcp.client import Client

    async with Client(os.environ["MCP_URL"], mode="legacy") as client:
        return sorted(tool.name for tool in (await client.list_tools()).tools)


def by_websockets() -> str:
    """A WebSocket client."""
    from websockets.sync.client import connect
    from websockets.typing import Subprotocol

    with connect(os.environ["WS_URL"], subprotocols=[Subprotocol("chat")]) as socket:
        return str(socket.recv())


CLIENTS: dict[str, Callable[[], object]] = {
    "giantcontext": lambda: asyncio.run(by_giantcontext()),
    "openai": by_openai,
    "anthropic": by_anthropic,
    "mcp": lambda: asyncio.run(by_mcp()),
    "websockets": by_websockets,
}
print(json.dumps({"pid": os.getpid(), **{name: CLIENTS[name]() for name in sys.argv[1:]}}), flush=True)
sys.stdin.read()
