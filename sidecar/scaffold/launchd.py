"""An agent of launchd, which keeps a sidecar running on a Mac while its user is logged in."""

from __future__ import annotations

import plistlib
from pathlib import Path

from sidecar.scaffold.service import Service

LABEL = "local.sidecar"
FILE_NAME = f"{LABEL}.plist"


def agent(service: Service, home: Path) -> bytes:
    """Return the property list.

    Args:
        service: what is to run.
        home: the user's folder; launchd knows no `~`.
    """
    told: dict[str, object] = {
        "Label": LABEL,
        "ProgramArguments": [*service.command, "run", "-c", str(service.config)],
        "RunAtLoad": True,
        "KeepAlive": True,
        # launchd knows no exit code that means "do not try again": a wrong configuration costs a start in 30 s.
        "ThrottleInterval": 30,
        # It serves apps that wait: no slower than they are.
        "ProcessType": "Interactive",
        "ExitTimeOut": 40,
        "Umask": 0o077,
        "StandardErrorPath": str(home / "Library" / "Logs" / "sidecar.log"),
    }
    if service.key_file and not service.key_is_there:
        # A variable of a shell never gets here.
        told["EnvironmentVariables"] = {"SIDECAR_API_KEY_FILE": str(service.key_file)}
    return plistlib.dumps(told, sort_keys=False)
