"""How long and how much the data plane may wait and hold, as values."""

from __future__ import annotations

import socket
from dataclasses import dataclass

try:
    import resource
except ImportError:  # Windows has no such limit
    resource = None  # type: ignore[assignment]

# File descriptors that no connection of an app or to an upstream may take: they are for probes and orders (the admin
# listener), key files, name resolution and the token endpoint. Without them a crowd of apps would take a token's
# renewal away, and a kubelet would restart a process that is merely busy.
RESERVED_DESCRIPTORS = 32


# An upper bound for `limits.connections: auto`: what 12 KB a connection still fits into a small pod.
MOST_CONNECTIONS = 10_000

# An app that shuts down its sending side may still be reading (`nc -N`), or be gone: TCP cannot tell. It gets this.
HALF_CLOSE_GRACE_S = 0.75
# After an answer that ends the connection, what still arrives is read and thrown away until nothing has come for this
# long, so that a reset does not destroy the answer on its way (RFC 9112 9.6); for `body_idle_timeout` at most.
LINGER_S = 1.0
# A body of known size must bring this much, or its end, within each `body_idle_timeout`: one that comes byte by byte
# would hold an upstream connection for ever (slowloris' second form). One of unknown size may be a live stream, in
# which any byte is progress. Precedent: Apache's mod_reqtimeout, MinRate=500 (a second); this is 17 with the default.
LEAST_PROGRESS_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long each phase of an upstream request may take."""

    connect_s: float = 5.0
    head_s: float = 60.0
    idle_s: float = 60.0


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """Upstream connections: the most at a time, and how long an idle one is kept."""

    most: int = 256
    idle_s: float = 90.0


def descriptors_run_out(descriptor: int) -> bool:
    """Whether a new socket has got one of the last file descriptors: the kernel gives out the lowest that is free."""
    soft = _most_descriptors()
    return soft is not None and descriptor >= soft - min(RESERVED_DESCRIPTORS, soft // 4)


def descriptor_to_spare() -> bool:
    """Whether a socket may be made now and leave the last descriptors alone; asked by making one, which costs 5 us."""
    try:
        with socket.socket() as probe:
            return not descriptors_run_out(probe.fileno())
    except OSError:
        return False


def most_connections() -> int:
    """Half of the process's file descriptors (a request needs two), at most 10,000."""
    soft = _most_descriptors()
    return MOST_CONNECTIONS if soft is None else max(1, min(soft // 2, MOST_CONNECTIONS))


def _most_descriptors() -> int | None:
    """Return how many this process may have; None where that is not limited."""
    if resource is None:
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft
