"""A pod of two containers, an app and a sidecar, run by `podman play kube`; the pretend vendor is outside of it.

The vendor is in the same network, since there is no other here: what the pod reaches at 127.0.0.1:9400 stands for an
API on the internet. It is there before the pod, and stays when the pod stops.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from image import base, build, engine
from sidecar.vendor.server import DEMO_KEY
from tests.chart import helm
from tests.cli.command import Ended
from tests.image.container import Container, podman
from tests.image.inside import Inside
from tests.image.stand import ADMIN_PORT, APP_PORT, KEY_NAME, VENDOR_PORT, configuration

Document = dict[str, Any]
APP_IMAGE = "localhost/credential-sidecar-test-app:1"
SECRET, CONFIG_MAP = "sidecar-test-key", "sidecar-test-config"
GRACE_S = 30
# Podman 4.3 tells all containers of a pod to stop at once, where Kubernetes tells a native sidecar last. It has to go
# on for the app's last second, as the classic sidecar of a cluster before 1.29 has to.
LAME_DUCK = "2s"


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod that runs."""

    name: str
    app: Inside
    admin: Inside
    control: Inside

    def statuses(self) -> list[int]:
        """Return what the app was answered since its first 200; before that, there may be no sidecar yet."""
        printed = podman("logs", f"{self.name}-app").out.split()
        return list(itertools.dropwhile(lambda status: status != 200, map(int, printed)))

    def rewrite_key(self, key: str) -> None:
        """Put another key into the Secret that is mounted."""
        (volume,) = json.loads(podman("volume", "inspect", SECRET).out)
        folder = Path(volume["Mountpoint"])
        new = folder / ".new"
        new.write_text(key)
        new.chmod(0o444)
        os.replace(new, folder / KEY_NAME)

    def stop(self) -> float:
        """Stop it as a kubelet does; return how many seconds that took."""
        began = time.monotonic()
        _done(podman("pod", "stop", f"--time={GRACE_S}", self.name))
        return time.monotonic() - began

    def exit_codes(self) -> dict[str, int]:
        """Return how the two containers ended."""
        codes = {}
        for name in ("app", "sidecar"):
            (found,) = json.loads(podman("inspect", f"{self.name}-{name}").out)
            codes[name] = found["State"]["ExitCode"]
        return codes


@contextmanager
def running(folder: Path, manifest: Document) -> Iterator[Pod]:
    """Run a pod until the block ends.

    Args:
        folder: an empty one, for the manifests.
        manifest: of kind Pod, with the containers `app` and `sidecar`, as podman can run it.
    """
    manifest["metadata"]["name"] = name = f"sidecar-test-{uuid4().hex[:8]}"
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": SECRET}}
    secret |= {"data": {KEY_NAME: base64.b64encode(DEMO_KEY.encode()).decode()}}
    settings = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": CONFIG_MAP}}
    settings |= {"data": {"config.yaml": configuration(LAME_DUCK)}}
    file = folder / "pod.yaml"
    # Podman 4.3 wants the Secret before the pod that mounts it.
    file.write_text("---\n".join(f"{json.dumps(document)}\n" for document in (secret, settings, manifest)))
    try:
        _done(podman("play", "kube", "--network=none", "--start=false", file))
        # The container that holds the pod's network, before the others.
        infrastructure = json.loads(podman("pod", "inspect", name).out)["InfraContainerID"]
        _done(podman("start", infrastructure))
        (holder,) = json.loads(podman("inspect", infrastructure).out)
        with Container("vendor", network=f"ns:/proc/{holder['State']['Pid']}/ns/net") as vendor:
            pod = Pod(name, *(Inside(vendor.pid, port) for port in (APP_PORT, ADMIN_PORT, VENDOR_PORT)))
            # Podman 4.3 puts the Secret's data there as it is, in base64.
            pod.rewrite_key(DEMO_KEY)
            vendor.says("serves on")
            _done(podman("pod", "start", name))
            yield pod
    finally:
        podman("pod", "rm", "--force", "--time=0", name)
        podman("volume", "rm", "--force", SECRET)
        podman("volume", "rm", "--force", CONFIG_MAP)
        podman("secret", "rm", SECRET)


def _done(ended: Ended) -> None:
    assert ended.code == 0, ended.err


def make_app_image(folder: Path) -> str:
    """Make an image of the app, from the same base as ours; return its name.

    Args:
        folder: an absent one, for the build's context.
    """
    folder.mkdir()
    shutil.copy(Path(__file__).with_name("app.py"), folder)
    file = folder / "Dockerfile"
    source = os.environ.get("BASE") or base.NAME
    file.write_text(f'FROM {source}\nCOPY app.py /app.py\nUSER 1000\nENTRYPOINT ["python3.13", "/app.py"]\n')
    engine.call([*engine.buildah_command(), "build", "--file", file, "--tag", APP_IMAGE, folder])
    return APP_IMAGE


def hand_written() -> Document:
    """Return the pod as somebody writes it who has read the README and has no chart."""
    restricted = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
    }
    sidecar = {
        "name": "sidecar",
        "image": build.NAME,
        "imagePullPolicy": "Never",
        "securityContext": restricted | {"runAsUser": 65532},
        "volumeMounts": [
            {"name": "key", "mountPath": "/run/secrets/sidecar", "readOnly": True},
            {"name": "config", "mountPath": "/etc/sidecar", "readOnly": True},
        ],
    }
    app = {"name": "app", "image": APP_IMAGE, "imagePullPolicy": "Never", "securityContext": restricted}
    spec = {
        "terminationGracePeriodSeconds": GRACE_S,
        "containers": [sidecar, app],
        "volumes": [
            # Podman 4.3 crashes on a secret's volume that does not say whether it is optional.
            {"name": "key", "secret": {"secretName": SECRET, "optional": False}},
            {"name": "config", "configMap": {"name": CONFIG_MAP}},
        ],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "by-hand"}, "spec": spec}


def from_chart(folder: Path) -> Document:
    """Return the pod of a chart by `helm create` with the three lines that the library chart's README asks for.

    Args:
        folder: an absent one, for the chart.
    """
    folder.mkdir()
    repository, _, tag = build.NAME.rpartition(":")
    app_repository, _, app_tag = APP_IMAGE.rpartition(":")
    values = {
        "image": {"repository": app_repository, "tag": app_tag, "pullPolicy": "Never"},
        "sidecar-lib": {
            "image": {"repository": repository, "tag": tag, "pullPolicy": "Never"},
            "config": {"configMap": CONFIG_MAP},
            "apiKeySecret": {"name": SECRET, "key": KEY_NAME},
        },
    }
    return helm.for_podman(helm.created_pod(folder, values))
