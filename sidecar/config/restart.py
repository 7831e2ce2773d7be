"""What a reload does not take: keys whose change counts everywhere only after a restart."""

from __future__ import annotations

from operator import attrgetter

from sidecar.config.values import Config

# By key, where its value is. `limits.waiting` and `limits.wait_for_token` count for what a reload makes anew only.
_TAKE_A_RESTART = {
    "gate.socket_mode": "gate.socket_mode",
    "admin.listen": "admin.listen",
    "admin.quit": "admin.quit",
    "limits.connections": "limits.connections",
    "limits.replay_memory": "limits.replay_memory_bytes",
    "limits.waiting": "limits.waiting",
    "limits.wait_for_token": "limits.wait_for_token_s",
    "log.level": "log.level",
    "log.format": "log.format",
    "log.access": "log.access",
}


def needing_restart(started: Config, wanted: Config) -> list[str]:
    """Return the keys, in the order of the example file, that differ and take a restart.

    Args:
        started: what the process was started with.
        wanted: what it has been told to take.
    """
    return [key for key, at in _TAKE_A_RESTART.items() if attrgetter(at)(started) != attrgetter(at)(wanted)]
