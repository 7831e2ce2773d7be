"""A unit of systemd for one user, and the socket that it is started by.

The socket belongs to systemd, so that no connection is refused while one process takes another's place. What
hardens the unit is what a user's own manager may do without privileges: system call filters, which take
no mount of their own.
"""

from __future__ import annotations

from pathlib import Path

from sidecar.scaffold.quoting import systemd_word
from sidecar.scaffold.service import Service

SERVICE_NAME = "sidecar.service"
SOCKET_NAME = "sidecar.socket"

_SERVICE = """\
# Written by `sidecar init --systemd`. To start it now and at every login:
#   systemctl --user daemon-reload && systemctl --user enable --now sidecar.socket sidecar.service
# Its log: journalctl --user -u sidecar -f

[Unit]
Description=Sidecar, which puts a fresh token on every request
Requires=sidecar.socket
After=sidecar.socket
StartLimitIntervalSec=60
StartLimitBurst=10

[Service]
Type=notify
ExecStart={start}
# A wrong configuration is reported, and the old one stays.
ExecReload=/bin/kill -HUP $MAINPID
{key}WatchdogSec=30
# Longer than drain.lame_duck and drain.most together.
TimeoutStopSec=40

Restart=on-failure
RestartSec=2
# The configuration is wrong: to start again would not help.
RestartPreventExitStatus=2

UMask=0077
LimitCORE=0
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictNamespaces=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM

[Install]
WantedBy=default.target
Also=sidecar.socket
"""

_CREDENTIAL = """\
# The API key, as a file that only this unit is given. It is copied at the start: after a new key,
# systemctl --user restart sidecar
LoadCredential=api-key:{file}
Environment=SIDECAR_API_KEY_FILE=%d/api-key
"""

_SOCKET = """\
# Written by `sidecar init --systemd`. The same addresses as `listen` in {config}:
# a socket that no key of it names is refused at the start.

[Unit]
Description=Where apps connect to Sidecar

[Socket]
{addresses}

[Install]
WantedBy=sockets.target
"""


def service_unit(service: Service) -> str:
    """Return the text of `sidecar.service`."""
    words = (*service.command, "run", "-c", str(service.config))
    start = " ".join(systemd_word(word, command=True) for word in words)
    key = _CREDENTIAL.format(file=_escaped(service.key_file)) if service.key_file else ""
    return _SERVICE.format(start=start, key=key)


def socket_unit(service: Service) -> str:
    """Return the text of `sidecar.socket`."""
    streams = [f"ListenStream={_escaped(address.removeprefix('unix:'))}" for address in service.listen]
    modes = ["SocketMode=0600"] if any(address.startswith("unix:") for address in service.listen) else []
    return _SOCKET.format(config=service.config, addresses="\n".join([*streams, *modes]))


def _escaped(text: str | Path) -> str:
    """Return a value that goes to the end of its line, where `%` alone means something."""
    return str(text).replace("%", "%%")
