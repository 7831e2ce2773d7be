"""`sidecar vendor`: the pretend vendor alone, for trying things and for users' own tests.

Not the vendor itself: that is `server.py`. The rule: what it prints can be pasted
into a shell as it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from sidecar.secret import Secret
from sidecar.vendor.server import DEMO_KEY, Vendor, VendorOptions
from sidecar.vendor.signals import ended_by_signals

# Flushed, so that a reader at the other end of a pipe sees it.
_SAY: Callable[[str], object] = partial(print, flush=True)

_GUIDE = """\
The pretend vendor serves on {url}. Ctrl-C ends it.
Its one API key is {key_note}; its tokens live {life:g} s.

  export DEMO_API_KEY={key}

Exchange the key, use the token:
  TOKEN=$(curl -s {url}/auth/token -d '{{"apiKey":"'$DEMO_API_KEY'"}}' | cut -d'"' -f4)
  curl -s -H "Authorization: Bearer $TOKEN" {url}/me
  curl -s {url}/oauth/token -u {client_id}:$DEMO_API_KEY -d grant_type=client_credentials
Also there: /projects  /echo  /stream?count=5&interval_ms=200  /slow?ms=500  /bytes/1000  /upload
            /forbidden  /always-401  /status/418

Make it misbehave, look what it saw, and be good again:
  curl -s {url}/-/faults -d '{{"do":"revoke_tokens"}}'
  curl -s {url}/-/faults -d '{{"do":"regenerate_key"}}'
  curl -s {url}/-/faults -d '{{"do":"token_life","token_life_s":5}}'
  curl -s {url}/-/faults -d '{{"on":"api","fault":"unauthorized","count":3}}'
  curl -s {url}/-/faults -d '{{"on":"token","fault":"rate_limited","retry_after_s":5,"count":1}}'
  curl -s {url}/-/faults -d '{{"on":"token","fault":"slow","delay_s":2}}'
  curl -s {url}/-/faults          # what is set, and every fault there is
  curl -s {url}/-/log
  curl -s -X DELETE {url}/-/faults

A configuration that points a sidecar at it:
  listen: 127.0.0.1:8080
  credentials:
    demo:
      preset: giantcontext
      api_key: {{env: DEMO_API_KEY}}
      exchange: {{url: "{url}/auth/token"}}
  routes:
    - {{name: demo, match: {{path: /}}, upstream: "{url}", credential: demo}}
"""


async def serve(
    options: VendorOptions, host: str = "127.0.0.1", port: int = 9400, *, say: Callable[[str], object] = _SAY
) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        options: what the vendor is.
        host, port: where it listens; port 0 takes a free one.
        say: takes the guide, which says how to use it, once it listens.

    Raises:
        OSError: it cannot listen there.
    """
    vendor = Vendor(options)
    await vendor.start(host, port)
    try:
        with ended_by_signals():
            say(guide(vendor.url, options))
            await asyncio.Event().wait()
    finally:
        await vendor.stop()


def guide(url: str, options: VendorOptions) -> str:
    """Return how to use a vendor. The built-in key is public and shown; any other is left for the reader to fill in."""
    built_in = options.api_key == Secret(DEMO_KEY)
    return _GUIDE.format(
        url=url,
        key=DEMO_KEY if built_in else "...",
        key_note="made up" if built_in else "the one it was given",
        life=options.token_life_s,
        client_id=options.client_id,
    )
