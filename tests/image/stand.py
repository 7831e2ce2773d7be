"""A pretend vendor and a sidecar in front of it, two containers of the image that share a loopback; and the key."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sidecar.vendor.server import DEMO_KEY
from tests.image.container import Container
from tests.image.inside import Inside

USER_ID = 65532
KEY_FOLDER, KEY_NAME = "/run/secrets/sidecar", "api-key"
CONFIG_FILE = "/etc/sidecar/config.yaml"
APP_PORT, ADMIN_PORT, VENDOR_PORT = 8080, 8081, 9400
READY_WITHIN_S = 10.0
VENDOR = f"http://127.0.0.1:{VENDOR_PORT}"


def configuration(lame_duck: str = "0s") -> str:
    """Return the configuration of a sidecar whose vendor is on its own loopback; JSON is YAML."""
    credential = {
        "preset": "giantcontext",
        "api_key": {"file": f"{KEY_FOLDER}/{KEY_NAME}"},
        "exchange": {"url": f"{VENDOR}/auth/token"},
        "refresh": {"budget": "60/1m"},
    }
    return json.dumps(
        {
            "listen": f"127.0.0.1:{APP_PORT}",
            "admin": {"listen": f"127.0.0.1:{ADMIN_PORT}"},
            "credentials": {"demo": credential},
            "routes": [{"name": "demo", "upstream": VENDOR, "credential": "demo"}],
            "drain": {"lame_duck": lame_duck},
        }
    )


class KeyFolder:
    """A folder with a key in it as Kubernetes mounts a Secret: `api-key` leads over `..data`, which is swapped.

    Args:
        folder: an absent one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._versions = 0
        folder.mkdir()
        self.write(DEMO_KEY)
        (folder / KEY_NAME).symlink_to(f"..data/{KEY_NAME}")

    def write(self, key: str) -> None:
        """Put another key in its place, in one step."""
        self._versions += 1
        version = self.folder / f"..{self._versions}"
        version.mkdir()
        file = version / KEY_NAME
        file.write_text(key)
        # As fsGroup and defaultMode make it: the sidecar's group may read it, others may not.
        os.chown(file, 0, USER_ID)
        file.chmod(0o440)
        new = self.folder / "..new"
        new.symlink_to(version.name)
        os.replace(new, self.folder / "..data")


@dataclass(frozen=True, slots=True)
class Stand:
    """The two containers, and whom to ask in their network."""

    vendor: Container
    sidecar: Container
    key: KeyFolder
    app: Inside
    admin: Inside
    control: Inside

    async def ready(self) -> None:
        """Wait until it is ready: listening, and with a token."""
        await self.admin.until_accepts()
        await self.admin.ready(READY_WITHIN_S)


def sidecar_beside(vendor: Container, folder: Path, key: KeyFolder) -> Container:
    """Return a sidecar's container, to be started in the network of a vendor's; its configuration is in the folder."""
    file = folder / "config.yaml"
    file.write_text(configuration())
    mounts = {file: CONFIG_FILE, key.folder: KEY_FOLDER}
    return Container(mounts=mounts, network=f"container:{vendor.name}")


@contextmanager
def stand(folder: Path) -> Iterator[Stand]:
    """Run the two until the block ends.

    Args:
        folder: an empty one, for the configuration and the key.
    """
    key = KeyFolder(folder / "key")
    with Container("vendor") as vendor, sidecar_beside(vendor, folder, key) as sidecar:
        ports = (APP_PORT, ADMIN_PORT, VENDOR_PORT)
        # By the vendor's process: it is there for as long as anybody may ask.
        app, admin, control = (Inside(vendor.pid, port) for port in ports)
        yield Stand(vendor, sidecar, key, app, admin, control)
