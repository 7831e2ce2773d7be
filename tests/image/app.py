"""An app that knows nothing of keys and tokens: it asks for the same thing all the time, and prints each status.

In an image of its own, so only Python's library. Once it is told to stop, it goes on for a second, as one does that has
work left, and then ends with 0.
"""

import os
import signal
import time
import urllib.error
import urllib.request
from types import FrameType

URL = f"{os.environ.get('SIDECAR_URL', 'http://127.0.0.1:8080')}/me"
PAUSE_S = 0.02
WORK_LEFT_S = 1.0
ends_at = float("inf")


def stop(_number: int, _frame: FrameType | None) -> None:
    """Have a last second."""
    global ends_at
    ends_at = time.monotonic() + WORK_LEFT_S


def ask() -> int:
    """Return the status of one answer; 0 where there was none."""
    try:
        with urllib.request.urlopen(URL, timeout=20) as answer:
            answer.read()
            return int(answer.status)
    except urllib.error.HTTPError as refusal:
        return refusal.code
    except OSError:
        return 0


signal.signal(signal.SIGTERM, stop)
while time.monotonic() < ends_at:
    print(ask(), flush=True)
    time.sleep(PAUSE_S)
