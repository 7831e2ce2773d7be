"""The container that Helm renders, run as a process: the program takes its variables, and answers its probes."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

import yaml

from sidecar.config import load
from tests.chart.documents import Document, documents
from tests.chart.helm import LIBRARY, Helm
from tests.chart.rendered import pod_of, rendered, sidecar_of, variables, with_least
from tests.cli.command import environment
from tests.fakes import always, response, upstream
from tests.main_job.client import Admin, Client
from tests.ports import free_port
from tests.servers.process import ServerProcess, answers


def probed(container: Document, probe: str) -> str:
    """Return what a probe asks for, at loopback instead of the pod's address."""
    get = container[probe]["httpGet"]
    (port,) = (port["containerPort"] for port in container["ports"] if port["name"] == get["port"])
    return f"http://127.0.0.1:{port}{get['path']}"


async def test_it_starts_with_nothing_but_its_variables(helm: Helm, created: Path, tmp_path: Path) -> None:
    """An app's request gets the key; probes are answered, and where they ask there is no status and no order."""
    key = tmp_path / "api-key"
    key.write_text("key-of-the-pod\n")
    ports = {"proxy": free_port(), "admin": free_port()}
    async with upstream(always(response())) as server:
        values = with_least(
            preset="static",
            upstream=f"http://127.0.0.1:{server.port}",
            apiKeySecret={"name": ""},
            apiKeyFile=str(key),
            ports=ports,
            failFast=True,
            logLevel="error",
        )
        sidecar = sidecar_of(pod_of(helm.template(created, values=values)))
        process = ServerProcess(
            [sys.executable, "-m", "sidecar", "run"],
            tmp_path,
            ready=lambda: answers(probed(sidecar, "startupProbe")),
            environment={**environment(None), **variables(sidecar)},
        )
        await asyncio.to_thread(process.start)
        try:
            assert answers(probed(sidecar, "livenessProbe"))
            assert (await Client(ports["proxy"]).ask()).status == 200
            admin = Admin(ports["admin"])
            assert [(await admin.ask("GET", path)).status for path in ("/metrics", "/status", "/")] == [200, 404, 404]
            assert (await admin.ask("POST", "/-/refresh")).status == 404
        finally:
            await asyncio.to_thread(process.stop)
        assert server.requests[0].value("authorization") == b"Bearer key-of-the-pod"
    assert process.output() == ""


def test_the_program_takes_the_default(helm: Helm, created: Path) -> None:
    """What the least of values leads to: where the key is, what it listens on, and whose rules it keeps."""
    config = load(path=None, flags={}, environ=variables(sidecar_of(rendered(helm, created, "default"))))
    (credential,) = config.credentials
    assert str(credential.api_key.name) == "/run/secrets/sidecar/api-key"
    assert [str(one) for one in config.listen] == ["127.0.0.1:8080"]
    assert str(config.admin.listen) == "0.0.0.0:8081"


def test_the_program_takes_the_readmes_config_map(helm: Helm, created: Path, tmp_path: Path) -> None:
    """Its keys are files of the Secret, where the chart mounts that; it listens where the app is told."""
    blocks = re.findall(r"```yaml\n(.*?)```", (LIBRARY / "README.md").read_text(), re.DOTALL)
    (config_map,) = (one for text in blocks if "kind: ConfigMap" in text for one in documents(text))
    file = tmp_path / "config.yaml"
    file.write_text(config_map["data"]["config.yaml"])
    told = variables(sidecar_of(rendered(helm, created, "config"))) | {"SIDECAR_CONFIG": str(file)}
    config = load(path=None, flags={}, environ=told)
    assert [str(one) for one in config.listen] == ["127.0.0.1:8080"]
    assert str(config.admin.listen) == "0.0.0.0:8081"
    assert len(config.credentials) > 1
    folders = {Path(one.api_key.name).parent for one in config.credentials}
    (mount,) = (
        one["mountPath"]
        for one in sidecar_of(rendered(helm, created, "config"))["volumeMounts"]
        if one["name"] == "sidecar-api-key"
    )
    assert folders == {Path(mount)}
    assert yaml.safe_load(config_map["data"]["config.yaml"])["listen"]
